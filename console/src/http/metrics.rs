//! `/metrics` in Prometheus' text format: what the console itself does, how full the store is, what the nodes say of
//! themselves, and whether any promise of the contract was ever broken.

use super::app::Site;
use super::overview::{ask, ask_store};
use actix_web::HttpResponse;
use actix_web::web::Data;
use brain::protocol::BrainState;
use map::number::Decimal;
use map::quantile::{Fraction, Quantiles};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Latency quantiles that are shown, as text and as parts of a thousand.
const QUANTILES: [(&str, u64); 4] = [("0.5", 500), ("0.9", 900), ("0.99", 990), ("1", 1000)];
/// The route of requests that no route is for: their paths are anybody's, and would be labels without end.
const NO_ROUTE: &str = "other";
const PROMISES: [&str; 8] = ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8"];

/// What the console counts of itself, since its start.
#[derive(Default)]
pub(crate) struct Metrics {
    routes: Mutex<BTreeMap<String, Route>>,
    turned_away: AtomicU64,
}

#[derive(Default)]
struct Route {
    by_status: BTreeMap<u16, u64>,
    /// Milliseconds.
    latency: Quantiles,
    total: Duration,
}

impl Metrics {
    /// Counts a request that was answered.
    pub(crate) fn answered(&self, route: Option<&str>, status: u16, took: Duration) {
        // Counts have no invariant that a panic elsewhere could break.
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let name = route.unwrap_or(NO_ROUTE);
        if !routes.contains_key(name) {
            routes.insert(name.to_owned(), Route::default());
        }
        if let Some(route) = routes.get_mut(name) {
            *route.by_status.entry(status).or_default() += 1;
            route
                .latency
                .add(Decimal::from_nanos(i128::from(took.as_nanos() as u64) * 1_000));
            route.total += took;
        }
    }

    /// Counts a request that was turned away because the access log had no place for it.
    pub(crate) fn turned_away(&self) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
    }

    fn show(&self, page: &mut Page) {
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, route) in &*routes {
            for (status, count) in &route.by_status {
                let labels = [("route", name.as_str()), ("status", &status.to_string())];
                page.add("sunfire_console_requests_total", "counter", &labels, *count);
            }
            for (text, thousandths) in QUANTILES {
                let quantile = Fraction::new(thousandths, 1000).and_then(|fraction| route.latency.quantile(fraction));
                if let Some(quantile) = quantile {
                    let labels = [("route", name.as_str()), ("quantile", text)];
                    page.add("sunfire_console_request_ms", "summary", &labels, quantile);
                }
            }
            let labels = [("route", name.as_str())];
            let ms = route.total.as_secs_f64() * 1_000.0;
            page.add_part("sunfire_console_request_ms", "_sum", "summary", &labels, ms);
            page.add_part(
                "sunfire_console_request_ms",
                "_count",
                "summary",
                &labels,
                route.latency.count(),
            );
        }
        let turned_away = self.turned_away.load(Ordering::Relaxed);
        page.add(
            "sunfire_console_requests_turned_away_total",
            "counter",
            &[],
            turned_away,
        );
    }
}

/// Lines of the format, those of a metric together.
#[derive(Default)]
struct Page(BTreeMap<String, (&'static str, Vec<String>)>);

impl Page {
    fn add(&mut self, name: &str, kind: &'static str, labels: &[(&str, &str)], value: impl ToString) {
        self.add_part(name, "", kind, labels, value);
    }

    fn add_part(&mut self, name: &str, part: &str, kind: &'static str, labels: &[(&str, &str)], value: impl ToString) {
        let name = clean_name(name);
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, text)| format!("{label}=\"{}\"", escaped(text)))
            .collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        let line = format!("{name}{part}{labels} {}", value.to_string());
        self.0.entry(name).or_insert_with(|| (kind, Vec::new())).1.push(line);
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (name, (kind, lines)) in &self.0 {
            // Writing to a text cannot fail.
            let _written = writeln!(text, "# TYPE {name} {kind}");
            for line in lines {
                let _written = writeln!(text, "{line}");
            }
        }
        text
    }
}

/// A name of letters, digits and underscores.
fn clean_name(name: &str) -> String {
    name.chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' })
        .collect()
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// `GET /metrics`
pub(super) async fn metrics(site: Data<Site>) -> HttpResponse {
    let mut page = Page::default();
    site.metrics.show(&mut page);
    let lost = site.log.as_ref().map_or(0, |log| log.lost());
    page.add("sunfire_console_access_log_lines_lost_total", "counter", &[], lost);
    for (promise, count) in PROMISES.iter().zip(map::invariant::violations()) {
        page.add(
            "sunfire_invariant_violations_total",
            "counter",
            &[("invariant", promise)],
            count,
        );
    }
    let (store, brain) = tokio::join!(ask_store(&site), ask(&site));
    page.add("sunfire_store_up", "gauge", &[], u64::from(store.is_ok()));
    if let Ok(status) = store {
        page.add("sunfire_store_disk_bytes", "gauge", &[], status.disk_bytes);
        page.add("sunfire_store_windows", "gauge", &[], status.windows);
        page.add("sunfire_store_pieces", "gauge", &[], status.pieces);
        page.add("sunfire_store_writes_refused_total", "counter", &[], status.refused);
    }
    page.add("sunfire_brain_up", "gauge", &[], u64::from(brain.is_ok()));
    if let Ok(state) = brain {
        show_state(&mut page, &state);
    }
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(page.text())
}

fn show_state(page: &mut Page, state: &BrainState) {
    page.add("sunfire_epoch", "gauge", &[], state.epoch);
    let mistakes: u64 = state.mistakes.iter().map(|mistake| mistake.count).sum();
    page.add("sunfire_configuration_mistakes", "gauge", &[], mistakes);
    for monitor in &state.monitors {
        let labels = [("monitor", monitor.name.as_str())];
        page.add("sunfire_monitor_windows_below", "gauge", &labels, monitor.below);
        page.add(
            "sunfire_monitor_hosts_expected",
            "gauge",
            &labels,
            monitor.hosts_expected,
        );
        page.add("sunfire_monitor_troubles", "gauge", &labels, monitor.troubles.len());
        let costs = [
            ("sunfire_monitor_cpu_microseconds_per_second", monitor.cpu_us_per_s),
            ("sunfire_monitor_log_bytes_per_second", monitor.bytes_per_s),
        ];
        for (name, cost) in costs {
            page.add(name, "gauge", &labels, cost);
        }
        if let Some(newest_ns) = monitor.newest_ns {
            page.add(
                "sunfire_monitor_newest_window_seconds",
                "gauge",
                &labels,
                newest_ns.div_euclid(1_000_000_000),
            );
        }
    }
    for tenant in &state.tenants {
        let labels = [("tenant", tenant.name.as_str())];
        let figures = [
            ("sunfire_tenant_cpu_microseconds_per_second", tenant.cpu_us_per_s),
            ("sunfire_tenant_log_bytes_per_second", tenant.bytes_per_s),
            ("sunfire_tenant_monitors_suspended", tenant.suspended),
        ];
        for (name, figure) in figures {
            page.add(name, "gauge", &labels, figure);
        }
    }
    for node in &state.nodes {
        let labels = [("node", node.node.node.as_str()), ("role", node.role.as_str())];
        page.add("sunfire_node_up", "gauge", &labels, u64::from(node.trouble.is_none()));
        for (figure, value) in &node.figures {
            page.add(&format!("sunfire_{}_{figure}", node.role), "untyped", &labels, *value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_that_of_prometheus() {
        let metrics = Metrics::default();
        for (status, ms) in [(200, 1), (200, 3), (404, 2)] {
            metrics.answered(Some("/api/v1/query"), status, Duration::from_millis(ms));
        }
        metrics.answered(None, 404, Duration::from_millis(1));
        let mut page = Page::default();
        metrics.show(&mut page);
        page.add("a-b", "gauge", &[("x", "quoted \"y\"\n")], 7);
        let text = page.text();
        for line in [
            "# TYPE a_b gauge\na_b{x=\"quoted \\\"y\\\"\\n\"} 7",
            "sunfire_console_requests_total{route=\"/api/v1/query\",status=\"200\"} 2",
            "sunfire_console_requests_total{route=\"other\",status=\"404\"} 1",
            "sunfire_console_request_ms{route=\"/api/v1/query\",quantile=\"0.5\"} 2",
            "sunfire_console_request_ms_sum{route=\"/api/v1/query\"} 6",
            "sunfire_console_request_ms_count{route=\"/api/v1/query\"} 3",
        ] {
            assert!(text.contains(line), "{line}\nin\n{text}");
        }
    }
}

//! Which hosts a monitor's filter can select records of, as far as their labels alone tell: so that a question about
//! some hosts reads no others, and expects none.
//!
//! Of a filter that is a conjunction, a part that speaks of nothing but a host's labels holds for all of its records or
//! for none. It is judged by the code that judges records.

use crate::condition::{Node, Row, compile_node};
use crate::node::labels;
use crate::plan::{Columns, PlanError, Source};
use crate::protocol::HostTarget;
use configs::expr::{BinaryOp, Column, Expr, ExprKind};
use configs::log_path::LogPath;
use configs::monitor::Monitor;
use std::collections::BTreeMap;

/// What a filter says of hosts.
#[derive(Debug)]
pub struct HostFilter {
    app: Option<String>,
    /// All of these must hold.
    parts: Vec<Node>,
    columns: Vec<Source>,
}

impl HostFilter {
    /// What a monitor's filter says of hosts.
    ///
    /// # Errors
    /// Where the filter has no meaning.
    pub fn new(monitor: &Monitor) -> Result<Self, PlanError> {
        let path = LogPath::parse(monitor.log.as_deref().unwrap_or_default()).ok();
        // A part of the path is a label of its file, whatever the host's label of that name says.
        let of_file = |name: &str| {
            let captured = path
                .as_ref()
                .is_some_and(|path| path.names().iter().any(|known| known == name));
            captured || matches!(name, "path" | "file")
        };
        let mut columns = Columns::default();
        let mut conjuncts = Vec::new();
        monitor.filter.iter().for_each(|filter| split(filter, &mut conjuncts));
        let parts = conjuncts.into_iter().filter(|part| is_of_host(part, &of_file));
        let parts = parts.map(|part| compile_node(part, &mut columns));
        Ok(Self {
            app: monitor.app.clone(),
            parts: parts.collect::<Result<_, _>>()?,
            columns: columns.into_sources(),
        })
    }

    /// Whether a host may have records that the filter selects.
    pub fn may_select(&self, host: &HostTarget) -> bool {
        let row = Labels {
            columns: &self.columns,
            labels: labels(host, self.app.as_deref()),
        };
        self.parts.iter().all(|part| part.holds(&row) == Some(true))
    }
}

/// The parts that must all hold.
fn split<'e>(expr: &'e Expr, parts: &mut Vec<&'e Expr>) {
    match &expr.kind {
        ExprKind::Binary(BinaryOp::And, left, right) => {
            split(left, parts);
            split(right, parts);
        }
        _ => parts.push(expr),
    }
}

/// Whether an expression names a label of the host, and nothing else.
fn is_of_host(expr: &Expr, of_file: &impl Fn(&str) -> bool) -> bool {
    let (mut names_any, mut names_other) = (false, false);
    configs::expr::visit_columns(expr, &mut |column| match column {
        Column::Label(name) if !of_file(name) => names_any = true,
        _ => names_other = true,
    });
    names_any && !names_other
}

struct Labels<'f> {
    columns: &'f [Source],
    labels: BTreeMap<String, String>,
}

impl Row for Labels<'_> {
    fn column(&self, number: usize) -> Option<&[u8]> {
        match &self.columns[number] {
            Source::Label(name) => self.labels.get(name).map(String::as_bytes),
            Source::Field(_) | Source::Line => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, zone: &str) -> HostTarget {
        HostTarget {
            host: name.to_owned(),
            address: format!("10.0.0.{}:7801", name.len()),
            labels: BTreeMap::from([("zone".to_owned(), zone.to_owned())]),
        }
    }

    #[track_caller]
    fn check(condition: &str, expected: &[&str]) {
        let text = format!("select count() from log '/logs/(?<shop>[a-z]+).log' parse logfmt where {condition}");
        let filter = HostFilter::new(&configs::parse_mql(&text).expect("a query")).expect("a filter");
        let hosts = [host("web-1", "a"), host("web-02", "b"), host("db-1", "a")];
        let selected = hosts.iter().filter(|host| filter.may_select(host));
        let selected: Vec<&str> = selected.map(|host| host.host.as_str()).collect();
        assert_eq!(selected, expected, "{condition}");
    }

    #[test]
    fn hosts_are_left_out_only_where_their_labels_alone_say_so() {
        let all = ["web-1", "web-02", "db-1"];
        check("app = 'shop'", &all);
        check("app = 'shop' and op = 'pay'", &all);
        check("app = 'shop' and host = 'web-1'", &["web-1"]);
        check(
            "app = 'shop' and host in ('web-1', 'db-1') and op = 'pay'",
            &["web-1", "db-1"],
        );
        check("app = 'shop' and host like 'web-%'", &["web-1", "web-02"]);
        check("app = 'shop' and not (host like 'web-%')", &["db-1"]);
        check(
            "app = 'shop' and zone = 'a' and (host = 'db-1' or zone = 'b')",
            &["db-1"],
        );
        check("app = 'shop' and ip = '10.0.0.6'", &["web-02"]);
        check("app = 'shop' and label('unit') is null", &all);
        check("app = 'shop' and label('unit') <> 'x'", &[]);
        check("app = 'shop' and host = 'nobody'", &[]);
        // What also depends on the record, or on the file, says nothing of the host.
        check("app = 'shop' and (host = 'web-1' or op = 'pay')", &all);
        check("app = 'shop' and host = op", &all);
        check("app = 'shop' and path = '/x'", &all);
        check("app = 'shop' and label('shop') = 'x'", &all);
        check("app = 'shop' and line contains 'host'", &all);
        check("app = 'shop' or host = 'web-1'", &["web-1"]);
    }
}

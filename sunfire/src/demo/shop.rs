//! The shop's hosts: what their programs write, line by line, by a seed.
//!
//! The logs look like what real shops have: orders as keys and values, payments as JSON, access logs of nginx, errors
//! with levels, and an application log whose errors go over several lines.

use jiff::Timestamp;
use lika::seam::Randomness;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A log is renamed at this size, so that a rotation is seen every minute or two.
const ROTATE_BYTES: u64 = 192 << 10;
/// Generations kept beside a live log: many minutes, so that each was read long before it goes.
const KEPT: u32 = 8;
/// Records that a host writes in a second, about, all its logs together.
const RECORDS_PER_SECOND: u64 = 20;

const OPS: [&str; 4] = ["pay", "pay", "refund", "quote"];
const METHODS: [&str; 3] = ["card", "wallet", "transfer"];
const PATHS: [&str; 5] = ["/", "/catalog", "/cart", "/checkout", "/api/stock"];
const AGENTS: &str = "Mozilla/5.0 (X11; Linux x86_64)";

/// The logs of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Log {
    /// What was ordered: keys and values.
    Orders,
    /// What was paid: JSON.
    Payments,
    /// What was asked: nginx.
    Access,
    /// What went wrong: levels.
    Errors,
    /// What the application says, traces included.
    App,
}

impl Log {
    const ALL: [Log; 5] = [Log::Orders, Log::Payments, Log::Access, Log::Errors, Log::App];

    fn file(self) -> &'static str {
        match self {
            Log::Orders => "orders.log",
            Log::Payments => "payments.log",
            Log::Access => "access.log",
            Log::Errors => "errors.log",
            Log::App => "app.log",
        }
    }
}

/// A host that writes.
pub struct Host {
    /// Its name.
    pub name: String,
    /// Its zone.
    pub zone: &'static str,
    /// Where its logs are.
    pub folder: PathBuf,
    /// Whether its programs run.
    pub is_up: bool,
    /// Seconds by which what it writes is stamped late, while a slow program holds its records back.
    pub late_s: i64,
    files: Vec<(Log, File)>,
    chance: Randomness,
}

impl Host {
    /// A host whose logs begin now.
    ///
    /// # Errors
    /// If its folder or its logs can't be made.
    pub fn new(name: &str, zone: &'static str, folder: PathBuf, chance: Randomness) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let open = |log: Log| Ok((log, append(&folder.join(log.file()))?));
        Ok(Self {
            name: name.to_owned(),
            zone,
            files: Log::ALL.into_iter().map(open).collect::<io::Result<_>>()?,
            folder,
            is_up: true,
            late_s: 0,
            chance,
        })
    }

    /// Writes what came up since the last time, `share` of a second ago.
    ///
    /// # Errors
    /// If a log can't be written.
    pub fn write(&mut self, now: Timestamp, share: f64, load: f64) -> io::Result<()> {
        if !self.is_up {
            return Ok(());
        }
        let wanted = RECORDS_PER_SECOND as f64 * share * load;
        let count = wanted as u64 + u64::from((self.chance.below(1000) as f64) < wanted.fract() * 1000.0);
        for _ in 0..count {
            let log = match self.chance.below(100) {
                0..=17 => Log::Orders,
                18..=29 => Log::Payments,
                30..=83 => Log::Access,
                84..=87 => Log::Errors,
                _ => Log::App,
            };
            // A record is written some milliseconds after it happened, on a slow host later.
            let ago_ms = self.chance.below(400) as i64 + self.late_s * 1000;
            let at = Timestamp::from_millisecond(now.as_millisecond() - ago_ms).unwrap_or(now);
            let line = self.line(log, at);
            if let Some((_, file)) = self.files.iter_mut().find(|(known, _)| *known == log) {
                file.write_all(line.as_bytes())?;
            }
        }
        self.rotate_large()
    }

    fn line(&self, log: Log, at: Timestamp) -> String {
        let draw = |bound: u64| self.chance.below(bound);
        let slow = if draw(50) == 0 { 900 } else { 0 };
        let cost_ms = 8 + draw(60) + draw(12) * draw(12) + slow;
        match log {
            Log::Orders => {
                let result = if draw(40) == 0 { "failed" } else { "success" };
                let op = OPS[draw(OPS.len() as u64) as usize];
                format!(
                    "{} order - op={op}|result={result}|cost={cost_ms}|amount={}.{:02}|items={}\n",
                    at.strftime("%Y-%m-%d %H:%M:%S.%3f+00:00"),
                    5 + draw(180),
                    draw(100),
                    1 + draw(6)
                )
            }
            Log::Payments => {
                let is_ok = draw(60) > 0;
                let method = METHODS[draw(METHODS.len() as u64) as usize];
                format!(
                    "{{\"time\":\"{}\",\"method\":\"{method}\",\"ok\":{is_ok},\"amount\":{}.{:02},\"ms\":{cost_ms}}}\n",
                    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ"),
                    5 + draw(180),
                    draw(100)
                )
            }
            Log::Access => {
                let status = match draw(200) {
                    0 => 502,
                    1..=6 => 404,
                    7..=16 => 302,
                    _ => 200,
                };
                format!(
                    "10.{}.{}.{} - - [{}] \"GET {} HTTP/1.1\" {status} {} \"-\" \"{AGENTS}\"\n",
                    draw(250),
                    draw(250),
                    draw(250),
                    at.strftime("%d/%b/%Y:%H:%M:%S +0000"),
                    PATHS[draw(PATHS.len() as u64) as usize],
                    300 + draw(40_000)
                )
            }
            Log::Errors => {
                let level = if draw(5) == 0 { "ERROR" } else { "WARN" };
                format!(
                    "{} {level} [worker-{}] stock service answered after {cost_ms} ms\n",
                    at.strftime("%Y-%m-%d %H:%M:%S,%3f+00:00"),
                    draw(8)
                )
            }
            Log::App => self.application(at, cost_ms),
        }
    }

    fn application(&self, at: Timestamp, cost_ms: u64) -> String {
        let stamp = at.strftime("%Y-%m-%d %H:%M:%S.%3f+00:00");
        let worker = self.chance.below(16);
        if self.chance.below(12) > 0 {
            return format!("{stamp} INFO  [http-{worker}] shop.Cart - updated in {cost_ms} ms\n");
        }
        format!(
            "{stamp} ERROR [http-{worker}] shop.Checkout - no price for item {}\n\
             shop.pricing.PriceMissing: item without price\n\tat shop.pricing.Prices.of(Prices.java:{})\n\
             \tat shop.Checkout.total(Checkout.java:88)\nCaused by: java.io.IOException: timed out\n\t... 21 more\n",
            self.chance.below(9_000),
            20 + self.chance.below(200)
        )
    }

    fn rotate_large(&mut self) -> io::Result<()> {
        for (log, file) in &mut self.files {
            if file.metadata()?.len() < ROTATE_BYTES {
                continue;
            }
            let path = self.folder.join(log.file());
            let rotated = |number: u32| PathBuf::from(format!("{}.{number}", path.display()));
            for number in (1..KEPT).rev().filter(|number| rotated(*number).exists()) {
                fs::rename(rotated(number), rotated(number + 1))?;
            }
            fs::rename(&path, rotated(1))?;
            *file = append(&path)?;
        }
        Ok(())
    }

    /// Empties a log in place, as a careless script does.
    ///
    /// # Errors
    /// If it can't be done.
    pub fn truncate(&mut self, log: Log) -> io::Result<()> {
        match self.files.iter().find(|(known, _)| *known == log) {
            Some((_, file)) => file.set_len(0),
            None => Ok(()),
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_log_is_written_and_one_can_be_emptied() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut host = Host::new("web-01", "a", folder.path().to_owned(), Randomness::seeded(1)).expect("a host");
        let began: Timestamp = "2026-11-26T08:00:00Z".parse().expect("a time");
        for tenth in 0..1200 {
            let now = began + std::time::Duration::from_millis(tenth * 100);
            host.write(now, 0.1, 1.0).expect("written");
        }
        for log in Log::ALL {
            let text = fs::read_to_string(folder.path().join(log.file())).expect("a log");
            assert!(text.lines().count() > 20, "{log:?}: {}", text.lines().count());
        }
        host.truncate(Log::Orders).expect("truncates");
        assert_eq!(fs::metadata(folder.path().join("orders.log")).expect("there").len(), 0);
    }
}

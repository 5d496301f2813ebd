//! What a role says while it runs: one line on stderr for each warning, with time, level and who says it.
//!
//! Whatever goes wrong a thousand times a second is said a few times a minute: a log that fills the disk of a host does
//! more harm than most of what it tells. Lines are counted by the place in the code that says them, so that no storm
//! hides another warning; what is left out is said, and how many lines it was.

use lika::seam::{Clock, Monotonic};
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tracing::callsite::Identifier;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The environment variable that asks for more: `error`, `warn`, `info`, `debug` or `trace`.
pub const VARIABLE: &str = "SUNFIRE_LOG";
/// Lines of one place in the code in each [`PERIOD`]: enough to see a pattern. With some thirty places and lines of a
/// few hundred bytes, a storm of one of them is a few megabytes a day.
const LINES_MAX: u64 = 10;
const PERIOD: Duration = Duration::from_secs(60);
/// Longest line; errors of other programs, which are quoted, have any length.
const LINE_BYTES_MAX: usize = 4096;

/// Begins to write what is worth a warning, or more if [`VARIABLE`] asks for it.
pub fn to_stderr() {
    let asked = std::env::var(VARIABLE)
        .ok()
        .and_then(|level| level.parse::<LevelFilter>().ok());
    // A second one in the same process, as tests have it, changes nothing.
    let _set = tracing_subscriber::fmt()
        .with_max_level(asked.unwrap_or(LevelFilter::WARN))
        .with_writer(Bounded::new(io::stderr, Clock::system()))
        .with_ansi(false)
        .try_init();
}

/// Lines of one place in the code.
struct Said {
    since: Monotonic,
    lines: u64,
}

/// What becomes of a line.
enum Share {
    /// It is written, after so many that were not.
    Written {
        left_out: u64,
    },
    /// It is written, and no other for a while.
    Last,
    LeftOut,
}

/// Writes so many lines of each place in the code.
struct Bounded<W> {
    to: W,
    clock: Clock,
    /// As many as there are places in the code.
    said: Mutex<HashMap<Identifier, Said>>,
}

impl<W> Bounded<W> {
    fn new(to: W, clock: Clock) -> Self {
        let said = Mutex::default();
        Self { to, clock, said }
    }

    fn share(&self, place: Identifier) -> Share {
        let now = self.clock.monotonic();
        // Counts have no invariant that a panic elsewhere could break.
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let said = said.entry(place).or_insert(Said { since: now, lines: 0 });
        let mut left_out = 0;
        if now.since(said.since) >= PERIOD {
            left_out = said.lines.saturating_sub(LINES_MAX);
            *said = Said { since: now, lines: 0 };
        }
        said.lines += 1;
        match said.lines {
            LINES_MAX => Share::Last,
            lines if lines < LINES_MAX => Share::Written { left_out },
            _ => Share::LeftOut,
        }
    }
}

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for Bounded<W> {
    type Writer = Line<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        Line {
            to: self.to.make_writer(),
            share: Share::Written { left_out: 0 },
        }
    }

    fn make_writer_for(&'w self, of: &Metadata<'_>) -> Self::Writer {
        // What is finer somebody asked for, to look at.
        let share = match *of.level() > Level::INFO {
            true => Share::Written { left_out: 0 },
            false => self.share(of.callsite()),
        };
        Line {
            to: self.to.make_writer_for(of),
            share,
        }
    }
}

/// One line, written at once.
struct Line<W> {
    to: W,
    share: Share,
}

impl<W: Write> Write for Line<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let cut = match line.get(..LINE_BYTES_MAX) {
            Some(cut) => format!("{}...\n", String::from_utf8_lossy(cut)),
            None => String::from_utf8_lossy(line).into_owned(),
        };
        match self.share {
            Share::LeftOut => {}
            Share::Written { left_out: 0 } => self.to.write_all(cut.as_bytes())?,
            Share::Written { left_out } => {
                let text = format!("{left_out} lines like the next one were left out\n{cut}");
                self.to.write_all(text.as_bytes())?;
            }
            Share::Last => {
                let text = format!(
                    "{cut}more lines like this one are left out for up to {} s\n",
                    PERIOD.as_secs()
                );
                self.to.write_all(text.as_bytes())?;
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lika::seam::WallNs;
    use std::sync::Arc;

    /// What was written.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        fn lines(&self) -> Vec<String> {
            let bytes = std::mem::take(&mut *self.0.lock().unwrap());
            String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
        }
    }

    fn storm(count: usize) {
        for number in 0..count {
            tracing::warn!(number, "the store is away");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_storm_of_one_warning_is_a_few_lines_a_minute_and_hides_no_other() {
        let (paper, clock) = (Paper::default(), Clock::simulated(WallNs(0)));
        let written = paper.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::DEBUG)
            .with_ansi(false)
            .with_writer(Bounded::new(move || written.clone(), clock))
            .finish();
        let _default = tracing::subscriber::set_default(subscriber);
        storm(100_000);
        let lines = paper.lines();
        assert_eq!(lines.len() as u64, LINES_MAX + 1, "{lines:#?}");
        assert!(
            lines[10].starts_with("more lines like this one are left out"),
            "{lines:#?}"
        );
        tracing::error!("the disk is full");
        assert_eq!(paper.lines().len(), 1, "another warning is not hidden by it");
        storm(5);
        assert_eq!(paper.lines().len(), 0);
        tokio::time::advance(PERIOD).await;
        storm(1);
        let lines = paper.lines();
        let left_out = 100_005 - LINES_MAX;
        assert_eq!(lines[0], format!("{left_out} lines like the next one were left out"));
        assert!(lines.len() == 2 && lines[1].contains("the store is away"), "{lines:#?}");
        // A day of it.
        let mut bytes = 0;
        for _ in 0..24 * 60 {
            tokio::time::advance(PERIOD).await;
            storm(100);
            bytes += paper.lines().iter().map(String::len).sum::<usize>();
        }
        assert!(bytes < 4 << 20, "{bytes} bytes a day");
        (0..1000).for_each(|number| tracing::debug!(number, "asked for"));
        assert_eq!(paper.lines().len(), 1000, "who asks for everything gets it");
        tracing::error!("{}", "x".repeat(100_000));
        assert!(paper.lines()[0].len() < LINE_BYTES_MAX + 10);
    }
}

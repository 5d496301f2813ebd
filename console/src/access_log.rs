//! The access log: one line of logfmt for every request, which is also what the monitor `sunfire_http` counts.
//!
//! No request may be missing from it, and none may wait for the disk. So a request takes a place in a bounded queue
//! before it is handled (where there is none it is turned away), and gives its line when its response is out; one
//! thread writes what is in the queue, one write a batch, and renames the file when it has grown.
//!
//! What is not in it: bytes that are no HTTP request, which are answered before anything of ours is asked.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Lines that wait to be written, those of requests in hand included: more than there may be connections.
const QUEUE_LINES: usize = 8_192;
/// Most lines of one write.
const BATCH_LINES: usize = 1_024;
/// Longest path that is written; a longer one is cut, and ends in `...`.
pub const PATH_BYTES_MAX: usize = 512;
/// Longest method that is written: the longest registered one has 17 letters.
const METHOD_BYTES_MAX: usize = 32;

/// A request that was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// When its response was out, nanoseconds since the epoch.
    pub t_ns: i64,
    /// Its method.
    pub method: String,
    /// Its path, without the query string.
    pub path: String,
    /// Status of the response; 499 if the client went away before there was one.
    pub status: u16,
    /// From its head to the end of the response.
    pub took: Duration,
    /// Bytes of the response's body, as sent.
    pub bytes: u64,
}

impl Entry {
    /// The line, without its end.
    pub fn line(&self) -> String {
        let mut line = String::with_capacity(96 + self.path.len());
        line.push_str("ts=");
        line.push_str(&timestamp_ms(self.t_ns));
        line.push_str(" method=");
        push_value(&mut line, &self.method, METHOD_BYTES_MAX);
        line.push_str(" path=");
        push_value(&mut line, &self.path, PATH_BYTES_MAX);
        let ms = self.took.as_secs_f64() * 1_000.0;
        // Writing to a text cannot fail.
        let _written = write!(line, " status={} ms={ms:.3} bytes={}", self.status, self.bytes);
        line
    }
}

/// RFC 3339 in UTC with milliseconds, always as long.
fn timestamp_ms(ns: i64) -> String {
    const PRINTER: jiff::fmt::temporal::DateTimePrinter =
        jiff::fmt::temporal::DateTimePrinter::new().precision(Some(3));
    let timestamp = jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap_or_default();
    PRINTER.timestamp_to_string(&timestamp)
}

/// A value that logfmt reads back: in quotes unless it is plain, cut at a bound.
fn push_value(line: &mut String, value: &str, bytes_max: usize) {
    let cut = value.floor_char_boundary(bytes_max);
    let (value, mark) = (&value[..cut], if cut < value.len() { "..." } else { "" });
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._~%-+:@,;!$&*()".contains(&byte);
    if !value.is_empty() && value.bytes().all(is_plain) {
        line.push_str(value);
        line.push_str(mark);
        return;
    }
    line.push('"');
    for character in value.chars() {
        match character {
            '"' | '\\' => line.extend(['\\', character]),
            control if control.is_control() => line.push('?'),
            other => line.push(other),
        }
    }
    line.push_str(mark);
    line.push('"');
}

enum Message {
    Line(String),
    /// Answered when all that came before is written.
    Flush(oneshot::Sender<()>),
}

/// The log of a console. Cheap to clone; the thread ends with the last clone.
#[derive(Clone)]
pub struct AccessLog {
    queue: mpsc::Sender<Message>,
    lost: Arc<AtomicU64>,
}

/// A place in the queue: its line will be written.
pub struct Place(mpsc::OwnedPermit<Message>);

impl Place {
    /// Gives the line of a request; never waits.
    pub fn fill(self, entry: &Entry) {
        let mut line = entry.line();
        line.push('\n');
        self.0.send(Message::Line(line));
    }
}

impl AccessLog {
    /// Opens the file, and starts the thread that writes it.
    ///
    /// # Errors
    /// If the file cannot be opened, or the thread not started.
    pub fn open(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let lost = Arc::new(AtomicU64::new(0));
        let (queue, queued) = mpsc::channel(QUEUE_LINES);
        let file = Rotated::open(path, bytes_max)?;
        let writer = Writer {
            file,
            lost: Arc::clone(&lost),
            is_failing: false,
        };
        std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || writer.run(queued))?;
        Ok(Self { queue, lost })
    }

    /// A place for a request's line, as soon as there is one; `None` if the writer is gone.
    pub async fn place(&self) -> Option<Place> {
        self.queue.clone().reserve_owned().await.ok().map(Place)
    }

    /// Returns when every line that was given so far is written.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Message::Flush(done)).await.is_ok() {
            // The writer answers, or is gone: then there is nothing to wait for.
            let _gone = written.await;
        }
    }

    /// Lines that could not be written, since the start: of a full disk, say.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

struct Writer {
    file: Rotated,
    lost: Arc<AtomicU64>,
    is_failing: bool,
}

impl Writer {
    fn run(mut self, mut queued: mpsc::Receiver<Message>) {
        let mut batch = Vec::with_capacity(BATCH_LINES);
        let mut text = String::new();
        while queued.blocking_recv_many(&mut batch, BATCH_LINES) > 0 {
            let mut lines = 0;
            let mut flushed = Vec::new();
            text.clear();
            for message in batch.drain(..) {
                match message {
                    Message::Line(line) => {
                        text.push_str(&line);
                        lines += 1;
                    }
                    Message::Flush(done) => flushed.push(done),
                }
            }
            self.write(&text, lines);
            for done in flushed {
                // Whoever asked may have gone.
                let _gone = done.send(());
            }
        }
    }

    fn write(&mut self, text: &str, lines: u64) {
        match self.file.append(text.as_bytes()) {
            Ok(()) => self.is_failing = false,
            Err(error) => {
                self.lost.fetch_add(lines, Ordering::Relaxed);
                if !self.is_failing {
                    tracing::error!(path = %self.file.path.display(), %error, "the access log cannot be written");
                }
                self.is_failing = true;
            }
        }
    }
}

/// A file that is renamed when it has grown; one predecessor is kept.
struct Rotated {
    path: PathBuf,
    bytes_max: u64,
    file: Option<File>,
    bytes: u64,
}

impl Rotated {
    fn open(path: &Path, bytes_max: u64) -> io::Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        let mut rotated = Self {
            path: path.to_owned(),
            bytes_max,
            file: None,
            bytes: 0,
        };
        rotated.reopen()?;
        Ok(rotated)
    }

    fn reopen(&mut self) -> io::Result<&mut File> {
        let file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        self.bytes = file.metadata()?.len();
        Ok(self.file.insert(file))
    }

    fn append(&mut self, text: &[u8]) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        if self.bytes > 0 && self.bytes.saturating_add(text.len() as u64) > self.bytes_max {
            let mut predecessor = self.path.clone().into_os_string();
            predecessor.push(".1");
            std::fs::rename(&self.path, predecessor)?;
            self.file = None;
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.reopen()?,
        };
        // One write, unless the system takes only a part of it.
        file.write_all(text)?;
        self.bytes += text.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(method: &str, path: &str) -> Entry {
        Entry {
            t_ns: 1_795_851_060_123_000_000,
            method: method.to_owned(),
            path: path.to_owned(),
            status: 200,
            took: Duration::from_micros(1_234),
            bytes: 512,
        }
    }

    #[track_caller]
    fn check(path: &str, expected: &str) {
        let line = entry("GET", path).line();
        let expected = format!("ts=2026-11-28T07:31:00.123Z method=GET path={expected} status=200 ms=1.234 bytes=512");
        assert_eq!(line, expected);
    }

    #[test]
    fn lines_are_logfmt() {
        check("/api/v1/query", "/api/v1/query");
        check("/a%20b;c", "/a%20b;c");
        check("/a=b", "\"/a=b\"");
        check("/a\"b\\c d\u{7}é", "\"/a\\\"b\\\\c d?é\"");
        check("", "\"\"");
        check(
            &format!("/{}", "a".repeat(2_000)),
            &format!("/{}...", "a".repeat(PATH_BYTES_MAX - 1)),
        );
        assert!(
            entry(&"X".repeat(100), "/")
                .line()
                .contains(&format!("method={}... ", "X".repeat(METHOD_BYTES_MAX)))
        );
    }

    #[test]
    fn the_file_is_renamed_when_it_has_grown_and_no_line_is_lost() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log/access.log");
        let mut file = Rotated::open(&path, 30).expect("opens");
        for line in ["one line of 20 byte\n", "two\n", "three lines\n", "four\n"] {
            file.append(line.as_bytes()).expect("written");
        }
        let read = |path: &Path| std::fs::read_to_string(path).expect("read");
        assert_eq!(read(&path), "three lines\nfour\n");
        assert_eq!(
            read(&folder.path().join("log/access.log.1")),
            "one line of 20 byte\ntwo\n"
        );
        drop(file);
        let mut file = Rotated::open(&path, 30).expect("opens again");
        file.append(b"five\n").expect("written");
        assert_eq!(read(&path), "three lines\nfour\nfive\n", "it is gone on with");
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("access.log");
        let log = AccessLog::open(&path, 10).expect("opens");
        log.place().await.expect("room").fill(&entry("GET", "/"));
        log.flush().await;
        assert_eq!(log.lost(), 0);
        std::fs::create_dir(folder.path().join("access.log.1")).expect("in the way of the rename");
        std::fs::write(folder.path().join("access.log.1/full"), "").expect("so that it stays");
        log.place().await.expect("room").fill(&entry("GET", "/"));
        log.flush().await;
        assert_eq!(log.lost(), 1);
    }
}

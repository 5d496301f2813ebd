//! The access log is complete: every request is one line, whatever became of it.

use super::{Hanging, question, request, scene, send, world};
use crate::process::ConsoleConfig;
use lika::seam::Clock;
use logline::fields::{Extractor, Rule, Scratch, Slot};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// The path and status of each line, as the engine itself reads them.
fn read_log(path: &Path) -> Vec<(String, String)> {
    let columns: Vec<String> = ["path", "status", "ts", "method", "ms", "bytes"]
        .map(str::to_owned)
        .to_vec();
    let mut extractor = Extractor::new(&Rule::logfmt(), &columns).expect("any column");
    let text = std::fs::read_to_string(path).expect("the log");
    let mut scratch = Scratch::default();
    (text.lines())
        .map(|line| {
            let record = line.as_bytes();
            let mut out = vec![Slot::Absent; columns.len()];
            extractor.extract(record, &mut scratch, &mut out).expect("logfmt");
            let field = |index: usize| {
                let text = out[index].bytes(record, &scratch).unwrap_or_default();
                String::from_utf8_lossy(text).into_owned()
            };
            assert!((2..6).all(|index| !field(index).is_empty()), "{line}");
            (field(0), field(1))
        })
        .collect()
}

/// Every request is one line: those that found nothing, those that were refused, those whose client went away.
#[tokio::test]
async fn no_request_is_missing_from_the_access_log() {
    const CLIENTS: usize = 16;
    const ROUNDS: usize = 12;
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("access.log");
    let path = log.clone();
    let scene = scene(Arc::new(world()), |config| config.access_log = Some(path)).await;
    let address = scene.console.local_address();
    let client = |number: usize| async move {
        for round in 0..ROUNDS {
            let request = match (number + round) % 6 {
                0 => request("GET", &question("select n from m since 1m"), &[]),
                1 => request("GET", "/no%20such=thing?secret=1", &[]),
                2 => request("POST", "/api/v1/query", &[("Content-Length", "0")]),
                3 => request("GET", "/healthz", &[("Host", "evil.example")]),
                4 => request("GET", "/api/v1/monitors", &[("Accept-Encoding", "gzip")]),
                _ => request("GET", &format!("/assets/{}", "x".repeat(3_000)), &[]),
            };
            send(address, &request).await;
        }
    };
    let tasks: Vec<_> = (0..CLIENTS).map(|number| tokio::spawn(client(number))).collect();
    for task in tasks {
        task.await.expect("a client");
    }
    scene.end().await;
    let lines = read_log(&log);
    assert_eq!(lines.len(), CLIENTS * ROUNDS);
    let count = |path: &str, status: &str| lines.iter().filter(|line| line.0 == path && line.1 == status).count();
    let share = CLIENTS * ROUNDS / 6;
    assert_eq!(count("/no%20such=thing", "404"), share);
    assert_eq!(
        [count("/api/v1/query", "200"), count("/api/v1/query", "405")],
        [share, share]
    );
    assert_eq!(
        [count("/healthz", "403"), count("/api/v1/monitors", "200")],
        [share, share]
    );
    assert!(
        lines
            .iter()
            .all(|(path, _)| path.len() <= crate::access_log::PATH_BYTES_MAX + 3)
    );
}

/// A client that goes away before its answer is a line too.
#[tokio::test]
async fn a_client_that_goes_away_is_in_the_access_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("access.log");
    let (path, clock) = (log.clone(), Clock::system());
    let change = |config: &mut ConsoleConfig| {
        config.access_log = Some(path);
        config.limits.query_patience = Duration::from_millis(100);
    };
    let scene = scene(Arc::new(Hanging), change).await;
    let mut stream = TcpStream::connect(scene.console.local_address())
        .await
        .expect("connects");
    let asked = request("GET", &question("select n from m"), &[]);
    stream.write_all(asked.as_bytes()).await.expect("sends");
    drop(stream);
    let deadline = clock.deadline_in(Duration::from_secs(20));
    while read_log(&log).is_empty() {
        assert!(!clock.has_passed(deadline), "the line never came");
        tokio::task::yield_now().await;
    }
    assert_eq!(read_log(&log)[0].0, "/api/v1/query");
    scene.end().await;
}

//! What URLs say (`http_sd`), fetched again and again by a thread of its own: a server that does not answer keeps
//! nobody waiting.
//!
//! As Prometheus does it: `GET` with the refresh interval in a header, and only status 200 with a JSON body is an
//! answer. The thread begins with the first URL that is named; without one there is none.

use configs::{UrlRead, UrlReader};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often each is fetched; Prometheus' default is a minute, and a host that is missed for a minute is long.
const REFRESH: Duration = Duration::from_secs(15);
/// The longest time for one answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest answer: some hundred thousand hosts.
const BYTES_MAX: u64 = 64 << 20;
/// Fetched at a time.
const AT_A_TIME: usize = 8;

/// Fetches URLs in a thread of its own, which ends with this.
pub(crate) struct HttpSd {
    shared: Arc<Shared>,
    is_begun: bool,
    refresh: Duration,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    known: BTreeMap<String, Known>,
    is_over: bool,
}

#[derive(Default)]
struct Known {
    read: UrlRead,
    was_tried: bool,
}

impl Default for HttpSd {
    fn default() -> Self {
        Self::every(REFRESH)
    }
}

impl HttpSd {
    fn every(refresh: Duration) -> Self {
        Self {
            shared: Arc::default(),
            is_begun: false,
            refresh,
        }
    }

    fn begin(&mut self) {
        let (shared, refresh) = (Arc::clone(&self.shared), self.refresh);
        let begun = std::thread::Builder::new()
            .name("http-sd".to_owned())
            .spawn(move || shared.work(refresh));
        match begun {
            Ok(_thread) => self.is_begun = true,
            // It is tried again at the next poll.
            Err(error) => tracing::warn!(%error, "no thread for http_sd"),
        }
    }
}

impl Drop for HttpSd {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.changed.notify_all();
    }
}

impl UrlReader for HttpSd {
    fn read(&mut self, urls: &BTreeSet<String>) -> BTreeMap<String, UrlRead> {
        if !urls.is_empty() && !self.is_begun {
            self.begin();
        }
        let mut state = self.shared.lock();
        state.known.retain(|url, _| urls.contains(url));
        let mut is_new = false;
        for url in urls {
            is_new |= !state.known.contains_key(url);
            state.known.entry(url.clone()).or_default();
        }
        if is_new {
            self.shared.changed.notify_all();
        }
        let read = |(url, known): (&String, &Known)| (url.clone(), known.read.clone());
        state.known.iter().map(read).collect()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Values are replaced whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, refresh: Duration) {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .user_agent(concat!("sunfire/", env!("CARGO_PKG_VERSION")))
            .tls_config(
                ureq::tls::TlsConfig::builder()
                    .root_certs(ureq::tls::RootCerts::PlatformVerifier)
                    .build(),
            )
            .build();
        let agent = ureq::Agent::new_with_config(config);
        while let Some(urls) = self.next(refresh) {
            for urls in urls.chunks(AT_A_TIME) {
                std::thread::scope(|scope| {
                    for url in urls {
                        scope.spawn(|| self.keep(url, fetch(&agent, url, refresh)));
                    }
                });
            }
        }
    }

    /// Waits for a new URL, or until all are to be fetched again; `None` at the end.
    fn next(&self, refresh: Duration) -> Option<Vec<String>> {
        let is_quiet = |state: &mut State| !state.is_over && state.known.values().all(|known| known.was_tried);
        let waited = self.changed.wait_timeout_while(self.lock(), refresh, is_quiet);
        let (state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.is_over {
            return None;
        }
        let is_due = |known: &Known| waited.timed_out() || !known.was_tried;
        let due = state.known.iter().filter(|(_, known)| is_due(known));
        Some(due.map(|(url, _)| url.clone()).collect())
    }

    fn keep(&self, url: &str, fetched: Result<String, String>) {
        let mut state = self.lock();
        // It may be named no more.
        let Some(known) = state.known.get_mut(url) else { return };
        known.was_tried = true;
        match fetched {
            Ok(text) => {
                if known.read.text.as_deref() != Some(text.as_str()) {
                    known.read.text = Some(text.into());
                }
                known.read.trouble = None;
            }
            Err(trouble) => known.read.trouble = Some(trouble),
        }
    }
}

fn fetch(agent: &ureq::Agent, url: &str, refresh: Duration) -> Result<String, String> {
    let request = agent
        .get(url)
        .header("Accept", "application/json")
        .header("X-Prometheus-Refresh-Interval-Seconds", refresh.as_secs().to_string());
    let mut answer = request.call().map_err(|error| format!("no answer: {error}"))?;
    let status = answer.status();
    if status.as_u16() != 200 {
        return Err(format!("the answer is {status}, not 200"));
    }
    let text = answer.body_mut().with_config().limit(BYTES_MAX).read_to_string();
    text.map_err(|error| format!("the answer cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::mpsc::{self, Receiver};

    /// Serves one answer after the other, and tells what was asked.
    fn serve(answers: &'static [&'static str]) -> (String, Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
        let url = format!("http://{}/sd?app=shop", listener.local_addr().expect("an address"));
        let (told, asked) = mpsc::channel();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().expect("a connection");
                let (mut request, mut byte) = (Vec::new(), [0]);
                while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("reads") == 1 {
                    request.push(byte[0]);
                }
                stream.write_all(answer.as_bytes()).expect("writes");
                let _nobody_waits = told.send(String::from_utf8(request).expect("a text"));
            }
        });
        (url, asked)
    }

    /// Reads until something is known that is other than before.
    fn until(reader: &mut HttpSd, url: &str, is_it: impl Fn(&UrlRead) -> bool) -> UrlRead {
        let urls = BTreeSet::from([url.to_owned()]);
        for _ in 0..1000 {
            let read = reader.read(&urls).remove(url).expect("it is named");
            if is_it(&read) {
                return read;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        panic!("not within ten seconds");
    }

    #[test]
    fn answers_are_fetched_again_and_the_last_good_one_stays() {
        let (url, asked) = serve(&[
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]",
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 1\r\nConnection: close\r\n\r\n-",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n[ ]",
        ]);
        let mut reader = HttpSd::every(Duration::from_millis(50));
        assert_eq!(reader.read(&BTreeSet::new()), BTreeMap::new());
        let first = until(&mut reader, &url, |read| read.text.is_some());
        assert_eq!((first.text.as_deref(), first.trouble), (Some("[]"), None));
        let request = asked.recv().expect("asked").to_lowercase();
        assert!(request.starts_with("get /sd?app=shop http/1.1\r\n"), "{request}");
        assert!(
            request.contains("x-prometheus-refresh-interval-seconds: 0\r\n"),
            "{request}"
        );
        let refused = until(&mut reader, &url, |read| read.trouble.is_some());
        let told = "the answer is 503 Service Unavailable, not 200";
        assert_eq!(
            (refused.text.as_deref(), refused.trouble.as_deref()),
            (Some("[]"), Some(told))
        );
        until(&mut reader, &url, |read| read.text.as_deref() == Some("[ ]"));
        // Nobody listens there any more.
        let gone = until(&mut reader, &url, |read| read.trouble.is_some());
        assert_eq!(gone.text.as_deref(), Some("[ ]"));
        assert!(gone.trouble.is_some_and(|why| why.starts_with("no answer: ")));
    }

    #[test]
    fn a_new_url_is_fetched_at_once_and_one_that_is_not_named_is_forgotten() {
        let (url, _asked) = serve(&["HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]"]);
        let mut reader = HttpSd::every(Duration::from_secs(3600));
        let nobody = "http://127.0.0.1:1/".to_owned();
        until(&mut reader, &nobody, |read| read.trouble.is_some());
        until(&mut reader, &url, |read| read.text.is_some());
        let both = BTreeSet::from([nobody.clone(), url]);
        assert_eq!(reader.read(&both)[&nobody], UrlRead::default());
    }
}

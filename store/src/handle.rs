//! One way to a store for all who need points, wherever it is: in this process, or on another node.
//!
//! Answers that are cut are put together here, so callers see neither pages nor frames. Each page is a moment of its
//! own: windows that are written in between may show in their older or newer revision, each as a whole.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use lika::node::{CallError, Client, Dialling, Refusal, Settings};
use tokio::sync::Semaphore;

use crate::answer::{Cuts, answer};
use crate::group::Group;
use crate::protocol::{FRAME_BYTES_MAX, StoreAnswer, StoreProtocol, StoreRequest, WRITE_BYTES_MAX};
use crate::traits::{
    Document, Store, StoreError, StoreStatus, StoredPiece, StoredWindow, WindowSelection, WindowWrite, WriteOutcome,
};

/// Reads at a time in this process: blocking threads that a hanging disk can hold.
const READS_MAX: usize = 4;
/// Bytes that one call puts together.
const RESULT_BYTES_MAX: usize = 256 << 20;
/// How long another node's store may take to answer a question: a page of a cold disk.
const READ_PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take to write: a queue of writes before this one, on a slow disk.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);
/// Requests at a time on a connection to a store: each may be a frame large.
const REQUESTS_MAX: u32 = 32;
/// Frames that wait on a connection to a store, for the same reason.
const QUEUE_FRAMES_MAX: usize = 4;

/// The bounds of connections to a store: frames are larger and fewer than elsewhere.
pub fn settings(others: Settings) -> Settings {
    Settings {
        frame_bytes_max: FRAME_BYTES_MAX,
        requests_max: others.requests_max.min(REQUESTS_MAX),
        queue_frames_max: others.queue_frames_max.min(QUEUE_FRAMES_MAX),
        ..others
    }
}

/// A store, here or elsewhere. Cheap to clone; clones share the queue of writes, or the connection.
#[derive(Clone)]
pub struct StoreHandle {
    backend: Backend,
}

#[derive(Clone)]
enum Backend {
    Local(Arc<Local>),
    Remote(Client<StoreProtocol>),
}

struct Local {
    store: Arc<dyn Store>,
    writes: Arc<Group>,
    reads: Arc<Semaphore>,
    cuts: Cuts,
}

impl std::fmt::Debug for StoreHandle {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self.backend {
            Backend::Local(_) => "StoreHandle(local)",
            Backend::Remote(_) => "StoreHandle(remote)",
        })
    }
}

impl StoreHandle {
    /// A store in this process. All who use it should use clones of one handle, so that their writes share
    /// transactions. Its calls need a tokio runtime, on whose blocking threads they work: at most four that read and
    /// one that writes. They last as long as the disk takes.
    pub fn local(store: Arc<dyn Store>) -> StoreHandle {
        StoreHandle::local_cut(store, Cuts::default())
    }

    pub(crate) fn local_cut(store: Arc<dyn Store>, cuts: Cuts) -> StoreHandle {
        let local = Local {
            writes: Group::new(Arc::clone(&store)),
            store,
            reads: Arc::new(Semaphore::new(READS_MAX)),
            cuts,
        };
        StoreHandle {
            backend: Backend::Local(Arc::new(local)),
        }
    }

    /// A store on another node, whose client was started with [`settings`].
    pub fn remote(client: Client<StoreProtocol>) -> StoreHandle {
        StoreHandle {
            backend: Backend::Remote(client),
        }
    }

    /// A store on another node, dialled in a task of the present tokio runtime.
    pub fn dial(dialling: Dialling) -> StoreHandle {
        let settings = settings(dialling.settings.clone());
        StoreHandle::remote(Client::start(Dialling { settings, ..dialling }))
    }

    /// As [`Store::write`]. Windows of at most [`WRITE_BYTES_MAX`] bytes go in one transaction; more go in several, in
    /// order, each window whole. If one of those fails, those before it are written; writing all again is safe.
    /// A write that was begun is done even if this future is dropped.
    ///
    /// # Errors
    /// If one window alone is too large, or the disk fails, or the store gives no answer.
    pub async fn write(&self, windows: Vec<WindowWrite>) -> Result<Vec<WriteOutcome>, StoreError> {
        let mut outcomes = Vec::with_capacity(windows.len());
        for part in parts(windows)? {
            let expected = part.len();
            let written = match self.ask(StoreRequest::Write(part)).await? {
                StoreAnswer::Written(written) if written.len() == expected => written,
                other => return Err(odd("writing windows", other)),
            };
            outcomes.extend(written);
        }
        Ok(outcomes)
    }

    /// As [`Store::windows`].
    ///
    /// # Errors
    /// If it is more than one call may hold, or the disk fails, or the store gives no answer.
    pub async fn windows(
        &self,
        monitor: &str,
        range: Range<i64>,
        most: usize,
        bodies: bool,
    ) -> Result<Vec<StoredWindow>, StoreError> {
        let (from_ns, to_ns) = (range.start, range.end);
        self.select(monitor, WindowSelection::Between { from_ns, to_ns, bodies }, most)
            .await
    }

    /// As [`Store::newest`].
    ///
    /// # Errors
    /// As [`StoreHandle::windows`].
    pub async fn newest(&self, monitor: &str, most: usize) -> Result<Vec<StoredWindow>, StoreError> {
        self.select(monitor, WindowSelection::Newest { before_ns: None }, most)
            .await
    }

    /// As [`Store::undone`].
    ///
    /// # Errors
    /// As [`StoreHandle::windows`].
    pub async fn undone(&self, monitor: &str, range: Range<i64>, most: usize) -> Result<Vec<StoredWindow>, StoreError> {
        let (from_ns, to_ns) = (range.start, range.end);
        self.select(monitor, WindowSelection::Undone { from_ns, to_ns }, most)
            .await
    }

    /// As [`Store::pieces`].
    ///
    /// # Errors
    /// As [`StoreHandle::windows`]; also if the pieces of one window are larger than a frame of the connection.
    pub async fn pieces(&self, monitor: &str, range: Range<i64>) -> Result<Vec<StoredPiece>, StoreError> {
        let mut sum = Sum::new("the pieces");
        let mut all: Vec<StoredPiece> = Vec::new();
        let mut from_ns = range.start;
        loop {
            let request = StoreRequest::Pieces {
                monitor: monitor.to_owned(),
                from_ns,
                to_ns: range.end,
            };
            let (pieces, more) = match self.ask(request).await? {
                StoreAnswer::Pieces { pieces, more } => (pieces, more),
                other => return Err(odd("reading pieces", other)),
            };
            sum.add(pieces.iter().map(|piece| piece.row.bytes()))?;
            let last = pieces.last().and_then(|piece| piece.window_ns.checked_add(1));
            all.extend(pieces);
            match last {
                Some(behind) if more => from_ns = behind,
                _ => return Ok(all),
            }
        }
    }

    /// As [`Store::monitors`].
    ///
    /// # Errors
    /// If the disk fails, or the store gives no answer.
    pub async fn monitors(&self) -> Result<Vec<String>, StoreError> {
        match self.ask(StoreRequest::Monitors).await? {
            StoreAnswer::Monitors(monitors) => Ok(monitors),
            other => Err(odd("listing monitors", other)),
        }
    }

    /// As [`Store::put_document`].
    ///
    /// # Errors
    /// If the disk fails, or the store gives no answer.
    pub async fn put_document(&self, document: Document) -> Result<(), StoreError> {
        match self.ask(StoreRequest::PutDocument(document)).await? {
            StoreAnswer::Done => Ok(()),
            other => Err(odd("writing a document", other)),
        }
    }

    /// As [`Store::documents`].
    ///
    /// # Errors
    /// As [`StoreHandle::windows`].
    pub async fn documents(&self, kind: &str, name: &str) -> Result<Vec<Document>, StoreError> {
        let mut sum = Sum::new("the documents");
        let mut all: Vec<Document> = Vec::new();
        let mut from_version = 0;
        loop {
            let request = StoreRequest::Documents {
                kind: kind.to_owned(),
                name: name.to_owned(),
                from_version,
            };
            let (documents, more) = match self.ask(request).await? {
                StoreAnswer::Documents { documents, more } => (documents, more),
                other => return Err(odd("reading documents", other)),
            };
            sum.add(documents.iter().map(Document::bytes))?;
            let last = documents.last().and_then(|document| document.version.checked_add(1));
            all.extend(documents);
            match last {
                Some(behind) if more => from_version = behind,
                _ => return Ok(all),
            }
        }
    }

    /// As [`Store::status`].
    ///
    /// # Errors
    /// If the disk fails, or the store gives no answer.
    pub async fn status(&self) -> Result<StoreStatus, StoreError> {
        match self.ask(StoreRequest::Status).await? {
            StoreAnswer::Status(status) => Ok(status),
            other => Err(odd("asking for the status", other)),
        }
    }

    /// As [`Store::remove_before`], where the store is.
    ///
    /// # Errors
    /// If the disk fails, or the store is on another node: removing is its own business.
    pub async fn remove_before(&self, before_ns: i64, most: usize) -> Result<u64, StoreError> {
        match &self.backend {
            Backend::Local(local) => {
                let store = Arc::clone(&local.store);
                local
                    .block("removing old windows", move || store.remove_before(before_ns, most))
                    .await
            }
            Backend::Remote(_) => Err(StoreError::Failed {
                operation: "removing old windows",
                why: "the store is on another node; it removes by itself".to_owned(),
            }),
        }
    }

    async fn select(
        &self,
        monitor: &str,
        mut selection: WindowSelection,
        most: usize,
    ) -> Result<Vec<StoredWindow>, StoreError> {
        let mut sum = Sum::new("the windows");
        let mut all: Vec<StoredWindow> = Vec::new();
        while all.len() < most {
            let left = u32::try_from(most - all.len()).unwrap_or(u32::MAX);
            let (windows, more) = match self.ask(window_request(monitor, selection, left)).await? {
                StoreAnswer::Windows { windows, more } => (windows, more),
                other => return Err(odd("reading windows", other)),
            };
            sum.add(windows.iter().map(StoredWindow::bytes))?;
            let behind = windows.last().and_then(|last| behind(selection, last.window_ns));
            all.extend(windows);
            match behind {
                Some(next) if more => selection = next,
                _ => break,
            }
        }
        Ok(all)
    }

    /// Asks one request of the protocol: one page, as it is answered.
    pub(crate) async fn ask(&self, request: StoreRequest) -> Result<StoreAnswer, StoreError> {
        match (&self.backend, request) {
            (Backend::Local(local), StoreRequest::Write(windows)) => {
                Ok(StoreAnswer::Written(local.writes.write(windows).await?))
            }
            (Backend::Local(local), request) => {
                let (store, cuts) = (Arc::clone(&local.store), local.cuts);
                local
                    .block(operation(&request), move || answer(&*store, request, cuts))
                    .await
            }
            (Backend::Remote(client), request) => {
                let operation = operation(&request);
                let patience = match request {
                    StoreRequest::Write(_) | StoreRequest::PutDocument(_) => WRITE_PATIENCE,
                    _ => READ_PATIENCE,
                };
                let answered = client.call(&request, patience).await;
                match answered.map_err(|error| of_call(operation, &error))? {
                    StoreAnswer::Failed(why) => Err(StoreError::Failed { operation, why }),
                    answer => Ok(answer),
                }
            }
        }
    }
}

impl Local {
    /// Does blocking work when it is its turn. What has begun is done to its end, and holds its turn until then.
    async fn block<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let ended = |why: &str| StoreError::Failed {
            operation,
            why: format!("it ended early: {why}"),
        };
        let turn = Arc::clone(&self.reads).acquire_owned().await;
        let turn = turn.map_err(|closed| ended(&closed.to_string()))?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        done.await.map_err(|error| ended(&error.to_string()))?
    }
}

/// Bytes that one call has put together so far.
struct Sum {
    what: &'static str,
    bytes: usize,
}

impl Sum {
    fn new(what: &'static str) -> Self {
        Sum { what, bytes: 0 }
    }

    fn add(&mut self, bytes: impl Iterator<Item = usize>) -> Result<(), StoreError> {
        self.bytes = self.bytes.saturating_add(bytes.sum());
        if self.bytes <= RESULT_BYTES_MAX {
            Ok(())
        } else {
            Err(StoreError::TooMuch {
                what: self.what,
                most: RESULT_BYTES_MAX as u64,
            })
        }
    }
}

/// Splits a write into what one request may hold, in order.
fn parts(windows: Vec<WindowWrite>) -> Result<Vec<Vec<WindowWrite>>, StoreError> {
    let (mut parts, mut part, mut sum) = (Vec::new(), Vec::new(), 0);
    for window in windows {
        let bytes = window.bytes();
        if bytes > WRITE_BYTES_MAX {
            return Err(StoreError::TooMuch {
                what: "one window and its pieces",
                most: WRITE_BYTES_MAX as u64,
            });
        }
        if sum + bytes > WRITE_BYTES_MAX {
            parts.push(std::mem::take(&mut part));
            sum = 0;
        }
        sum += bytes;
        part.push(window);
    }
    if !part.is_empty() {
        parts.push(part);
    }
    Ok(parts)
}

fn window_request(monitor: &str, selection: WindowSelection, most: u32) -> StoreRequest {
    let monitor = monitor.to_owned();
    match selection {
        WindowSelection::Between { from_ns, to_ns, bodies } => StoreRequest::Windows {
            monitor,
            from_ns,
            to_ns,
            most,
            bodies,
        },
        WindowSelection::Undone { from_ns, to_ns } => StoreRequest::Undone {
            monitor,
            from_ns,
            to_ns,
            most,
        },
        WindowSelection::Newest { before_ns } => StoreRequest::Newest {
            monitor,
            before_ns,
            most,
        },
    }
}

/// What is left of a selection behind a window; `None` if nothing can be.
fn behind(selection: WindowSelection, last_ns: i64) -> Option<WindowSelection> {
    Some(match selection {
        WindowSelection::Between { to_ns, bodies, .. } => WindowSelection::Between {
            from_ns: last_ns.checked_add(1)?,
            to_ns,
            bodies,
        },
        WindowSelection::Undone { to_ns, .. } => WindowSelection::Undone {
            from_ns: last_ns.checked_add(1)?,
            to_ns,
        },
        WindowSelection::Newest { .. } => WindowSelection::Newest {
            before_ns: Some(last_ns),
        },
    })
}

/// What a request does, for errors.
fn operation(request: &StoreRequest) -> &'static str {
    match request {
        StoreRequest::Write(_) => "writing windows",
        StoreRequest::Windows { .. } | StoreRequest::Newest { .. } | StoreRequest::Undone { .. } => "reading windows",
        StoreRequest::Pieces { .. } => "reading pieces",
        StoreRequest::Monitors => "listing monitors",
        StoreRequest::PutDocument(_) => "writing a document",
        StoreRequest::Documents { .. } => "reading documents",
        StoreRequest::Status => "asking for the status",
    }
}

fn odd(operation: &'static str, answer: StoreAnswer) -> StoreError {
    let kind = match answer {
        StoreAnswer::Written(_) => "outcomes of another write",
        StoreAnswer::Windows { .. } => "windows",
        StoreAnswer::Pieces { .. } => "pieces",
        StoreAnswer::Monitors(_) => "monitors",
        StoreAnswer::Documents { .. } => "documents",
        StoreAnswer::Status(_) => "a status",
        StoreAnswer::Done => "that it is done",
        StoreAnswer::Failed(_) => "a failure",
    };
    StoreError::Failed {
        operation,
        why: format!("it answered with {kind}; run compatible versions on both nodes"),
    }
}

fn of_call(operation: &'static str, error: &CallError) -> StoreError {
    let why = match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    match error {
        CallError::Refused {
            refusal: Refusal::TooLarge(_),
            ..
        } => StoreError::TooMuch {
            what: "the answer",
            most: u64::from(FRAME_BYTES_MAX),
        },
        CallError::Unreachable { .. }
        | CallError::TimedOut { .. }
        | CallError::Disconnected { .. }
        | CallError::Closed(_)
        | CallError::Refused {
            refusal: Refusal::Busy | Refusal::Expired | Refusal::Stopping,
            ..
        } => StoreError::Unreachable { operation, why },
        _ => StoreError::Failed { operation, why },
    }
}

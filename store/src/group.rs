//! Group commit: whoever writes while another write is on its way to the disk waits and then goes along with all others
//! that wait, in one transaction. A thousand monitors that write each second cost a few waits for the disk, not a
//! thousand.
//!
//! The writer is one blocking thread of the runtime, which exists while there is something to write. A batch that was
//! queued is written even if its caller has gone away.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::protocol::WRITE_BYTES_MAX;
use crate::traits::{Store, StoreError, WindowWrite, WriteOutcome};

/// Bytes that wait to be written; who comes then waits with its own. Some seconds of a slow disk's work.
const QUEUE_BYTES_MAX: usize = 128 << 20;
/// Bytes of one transaction: as long as its pages take to be written, everybody waits.
const GROUP_BYTES_MAX: usize = 32 << 20;
/// Windows of one transaction, for the same reason.
const GROUP_WINDOWS_MAX: usize = 20_000;
/// What is waited for in the queue is counted in these, since a semaphore counts in 32 bits.
const PERMIT_BYTES: usize = 1 << 10;

// Or a batch could wait for ever.
const _: () = assert!(WRITE_BYTES_MAX <= QUEUE_BYTES_MAX);

const OPERATION: &str = "writing windows";

type Outcomes = Result<Vec<WriteOutcome>, StoreError>;

struct Batch {
    windows: Vec<WindowWrite>,
    bytes: usize,
    answer: oneshot::Sender<Outcomes>,
    /// Its place in the queue.
    room: OwnedSemaphorePermit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    Idle,
    Running,
}

struct Queue {
    batches: VecDeque<Batch>,
    writer: Writer,
}

/// The queue before a store's one writer.
pub(crate) struct Group {
    store: Arc<dyn Store>,
    room: Arc<Semaphore>,
    queue: Mutex<Queue>,
}

impl Group {
    pub(crate) fn new(store: Arc<dyn Store>) -> Arc<Group> {
        Arc::new(Group {
            store,
            room: Arc::new(Semaphore::new(QUEUE_BYTES_MAX / PERMIT_BYTES)),
            queue: Mutex::new(Queue {
                batches: VecDeque::new(),
                writer: Writer::Idle,
            }),
        })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Each change of the queue is one statement: a panic elsewhere leaves it whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes windows together with whatever else waits; at most [`WRITE_BYTES_MAX`] bytes.
    pub(crate) async fn write(self: &Arc<Self>, windows: Vec<WindowWrite>) -> Outcomes {
        let bytes = windows.iter().map(WindowWrite::bytes).sum::<usize>();
        let permits = (bytes / PERMIT_BYTES + 1).min(QUEUE_BYTES_MAX / PERMIT_BYTES);
        let room = Arc::clone(&self.room).acquire_many_owned(permits as u32).await;
        let room = room.map_err(|_closed| ended())?;
        let (answer, answered) = oneshot::channel();
        self.push(Batch {
            windows,
            bytes,
            answer,
            room,
        });
        answered.await.unwrap_or_else(|_dropped| Err(ended()))
    }

    /// Queues a batch, and starts the writer if there is none.
    fn push(self: &Arc<Self>, batch: Batch) {
        let start = {
            let mut queue = self.queue();
            queue.batches.push_back(batch);
            std::mem::replace(&mut queue.writer, Writer::Running) == Writer::Idle
        };
        if start {
            let duty = Duty(Some(Arc::clone(self)));
            tokio::task::spawn_blocking(move || duty.write_all());
        }
    }

    /// The next batches that fit into one transaction; none ends the writer.
    fn take(&self) -> Vec<Batch> {
        let mut queue = self.queue();
        let (mut bytes, mut windows) = (0usize, 0usize);
        let mut taken = Vec::new();
        while let Some(next) = queue.batches.front() {
            bytes = bytes.saturating_add(next.bytes);
            windows = windows.saturating_add(next.windows.len());
            if !taken.is_empty() && (bytes > GROUP_BYTES_MAX || windows > GROUP_WINDOWS_MAX) {
                break;
            }
            taken.extend(queue.batches.pop_front());
        }
        if taken.is_empty() {
            queue.writer = Writer::Idle;
        }
        taken
    }

    /// A panic in the store is a failed write. It must not end the writer: whoever hears of the failure may queue again
    /// before a writer that ends has cleared the queue.
    fn write_guarded(&self, windows: &[WindowWrite]) -> Outcomes {
        let written = catch_unwind(AssertUnwindSafe(|| self.store.write(windows)));
        written.unwrap_or_else(|_panic| Err(ended()))
    }

    fn write_group(&self, batches: Vec<Batch>) {
        let (mut all, mut askers) = (Vec::new(), Vec::new());
        for batch in batches {
            askers.push((batch.windows.len(), batch.answer, batch.room));
            all.extend(batch.windows);
        }
        let mut outcomes = self.write_guarded(&all);
        let mut begin = 0;
        let alone = askers.len() == 1;
        for (count, answer, room) in askers {
            let part = &all[begin..begin + count];
            let own = match &mut outcomes {
                Ok(outcomes) => Ok(outcomes.drain(..count.min(outcomes.len())).collect()),
                // One batch is too much; the others shall not suffer from it.
                Err(StoreError::TooMuch { .. }) if !alone => self.write_guarded(part),
                Err(error) => Err(error.clone()),
            };
            begin += count;
            drop(room);
            // Who has gone away does not hear of it.
            let _gone = answer.send(own);
        }
    }
}

/// The duty to write what is queued. If it is dropped before it is done, because the runtime stops, whoever waits hears
/// so.
struct Duty(Option<Arc<Group>>);

impl Duty {
    fn write_all(mut self) {
        while let Some(group) = &self.0 {
            let batches = group.take();
            if batches.is_empty() {
                // Done: the next batch starts a writer of its own, which this one's end must not disturb.
                self.0 = None;
            } else {
                group.write_group(batches);
            }
        }
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        if let Some(group) = &self.0 {
            let mut queue = group.queue();
            queue.batches.clear();
            queue.writer = Writer::Idle;
        }
    }
}

fn ended() -> StoreError {
    StoreError::Failed {
        operation: OPERATION,
        why: "the writer ended early; see the log, and write again".to_owned(),
    }
}

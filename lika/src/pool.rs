//! CPU work off the threads that serve: a closure runs on one worker thread from its start to its end, without locks.
//!
//! In simulation the pool is inline: the closure runs where it is submitted, so that the order of effects is the
//! order of the program.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Why a task has no result.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PoolError {
    /// As many tasks wait as may.
    #[error("the queue of the cpu pool is full; submit less at a time or wait for room")]
    Full,
    /// The task panicked.
    #[error("a cpu task panicked: {0}")]
    Panicked(String),
    /// The pool was dropped before the task began.
    #[error("the cpu pool is closed; keep a handle to it as long as there are tasks")]
    Closed,
}

/// A pool of worker threads with a bounded queue, or none at all. Cheap to clone; the threads end with the last clone,
/// each after the task it has in hand, and tasks that wait then are not run.
#[derive(Clone)]
pub struct CpuPool {
    workers: Option<Arc<Workers>>,
}

type Job = Box<dyn FnOnce() + Send>;

struct Workers {
    queue: Arc<Queue>,
    /// A permit is a place in the queue, given back when the task begins.
    room: Arc<Semaphore>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        // No job runs, and nothing panics, under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        loop {
            let mut state = self.lock();
            let job = loop {
                if state.closed {
                    return;
                }
                match state.jobs.pop_front() {
                    Some(job) => break job,
                    None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                }
            };
            drop(state);
            job();
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let waiting = {
            let mut state = self.queue.lock();
            state.closed = true;
            std::mem::take(&mut state.jobs)
        };
        self.queue.changed.notify_all();
        drop(waiting);
    }
}

/// A submitted task; awaiting it gives the result. Dropping it before it has begun cancels it.
#[derive(Debug)]
pub struct Task<T> {
    result: oneshot::Receiver<Result<T, PoolError>>,
}

impl<T> Future for Task<T> {
    type Output = Result<T, PoolError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.result)
            .poll(context)
            .map(|sent| sent.unwrap_or(Err(PoolError::Closed)))
    }
}

impl CpuPool {
    /// No threads: tasks run where they are submitted.
    pub fn inline() -> CpuPool {
        CpuPool { workers: None }
    }

    /// `threads` workers named `name-N` and a queue of at most `queue_max` waiting tasks.
    pub fn threads(name: &str, threads: NonZeroUsize, queue_max: NonZeroUsize) -> io::Result<CpuPool> {
        let queue = Arc::new(Queue::default());
        let room = Arc::new(Semaphore::new(queue_max.get().min(Semaphore::MAX_PERMITS)));
        // Made first, so that the workers started so far end if one cannot be started.
        let workers = Arc::new(Workers {
            queue: Arc::clone(&queue),
            room,
        });
        for number in 0..threads.get() {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new()
                .name(format!("{name}-{number}"))
                .spawn(move || queue.work())?;
        }
        Ok(CpuPool { workers: Some(workers) })
    }

    /// Runs a task, waiting for room in the queue first.
    pub async fn run<T, F>(&self, task: F) -> Result<T, PoolError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let Some(workers) = &self.workers else {
            return run_caught(task);
        };
        let room = Arc::clone(&workers.room)
            .acquire_owned()
            .await
            .map_err(|_closed| PoolError::Closed)?;
        submit(&workers.queue, room, task).await
    }

    /// Submits a task if there is room; never waits (inline: the task has run when this returns).
    pub fn try_submit<T, F>(&self, task: F) -> Result<Task<T>, PoolError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let Some(workers) = &self.workers else {
            let (sender, result) = oneshot::channel();
            let _receiver_is_here = sender.send(run_caught(task));
            return Ok(Task { result });
        };
        let room = Arc::clone(&workers.room)
            .try_acquire_owned()
            .map_err(|_none| PoolError::Full)?;
        Ok(submit(&workers.queue, room, task))
    }

    /// How many tasks wait.
    pub fn waiting(&self) -> usize {
        self.workers
            .as_ref()
            .map_or(0, |workers| workers.queue.lock().jobs.len())
    }
}

fn submit<T, F>(queue: &Queue, room: OwnedSemaphorePermit, task: F) -> Task<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let (sender, result) = oneshot::channel();
    let job = Box::new(move || {
        drop(room);
        if !sender.is_closed() {
            // Whoever waited may have gone meanwhile; then the result is for nobody.
            let _unread = sender.send(run_caught(task));
        }
    });
    queue.lock().jobs.push_back(job);
    queue.changed.notify_one();
    Task { result }
}

fn run_caught<T>(task: impl FnOnce() -> T) -> Result<T, PoolError> {
    catch_unwind(AssertUnwindSafe(task))
        .map_err(|payload| PoolError::Panicked(crate::panics::panic_text(payload.as_ref())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn pool(threads: usize, queue_max: usize) -> CpuPool {
        CpuPool::threads(
            "test",
            NonZeroUsize::new(threads).unwrap(),
            NonZeroUsize::new(queue_max).unwrap(),
        )
        .unwrap()
    }

    async fn check_results(pool: &CpuPool) {
        assert_eq!(pool.run(|| 6 * 7).await, Ok(42));
        assert_eq!(
            pool.run(|| -> u8 { panic!("no {}", 1) }).await,
            Err(PoolError::Panicked("no 1".to_owned()))
        );
        assert_eq!(pool.try_submit(|| "after a panic").unwrap().await, Ok("after a panic"));
    }

    #[tokio::test]
    async fn results_and_panics_come_back() {
        check_results(&pool(1, 1)).await;
        check_results(&CpuPool::inline()).await;
    }

    #[tokio::test]
    async fn inline_tasks_run_at_once_on_the_same_thread() {
        let here = std::thread::current().id();
        let task = CpuPool::inline()
            .try_submit(move || std::thread::current().id() == here)
            .unwrap();
        assert_eq!(task.await, Ok(true));
        let there = pool(1, 1).run(move || std::thread::current().id() != here).await;
        assert_eq!(there, Ok(true));
    }

    #[tokio::test]
    async fn the_queue_is_bounded_and_dropped_tasks_do_not_run() {
        let pool = pool(1, 2);
        let (open, gate) = mpsc::channel::<()>();
        let (entered, inside) = oneshot::channel();
        let first = pool.try_submit(move || {
            entered.send(()).unwrap();
            gate.recv().unwrap();
        });
        inside.await.unwrap();
        let ran = Arc::new(Mutex::new(Vec::new()));
        let note = |number: u8| {
            let ran = Arc::clone(&ran);
            move || ran.lock().unwrap().push(number)
        };
        let second = pool.try_submit(note(2)).unwrap();
        let third = pool.try_submit(note(3)).unwrap();
        assert_eq!(pool.try_submit(note(4)).unwrap_err(), PoolError::Full);
        assert_eq!(pool.waiting(), 2);
        drop(second);
        let fifth = pool.run(note(5));
        open.send(()).unwrap();
        assert_eq!(
            (first.unwrap().await, third.await, fifth.await),
            (Ok(()), Ok(()), Ok(()))
        );
        assert_eq!(*ran.lock().unwrap(), [3, 5]);
    }

    #[tokio::test]
    async fn waiting_tasks_of_a_dropped_pool_are_closed() {
        let pool = pool(1, 4);
        let (open, gate) = mpsc::channel::<()>();
        let (entered, inside) = oneshot::channel();
        let first = pool.try_submit(move || {
            entered.send(()).unwrap();
            gate.recv().unwrap();
        });
        inside.await.unwrap();
        let second = pool.try_submit(|| ()).unwrap();
        drop(pool);
        assert_eq!(second.await, Err(PoolError::Closed));
        open.send(()).unwrap();
        assert_eq!(first.unwrap().await, Ok(()));
    }
}

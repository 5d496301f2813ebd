//! Counting many files, and large ones in parts, on several threads, with the result of one pass.

use super::file::{Counted, FileJob, Outcome};
use super::range::Beginning;
use crate::progress::Progress;
use anyhow::{Result, anyhow};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Parts of a file are at least so large: a cut costs a search of the bytes before it.
const PART_BYTES_MIN: u64 = 4 << 20;
/// And at most so large, so that threads end together.
const PART_BYTES_MAX: u64 = 64 << 20;

/// How the work is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parallelism {
    /// Threads that count.
    pub threads: usize,
    /// The least and greatest size of a part of a file in bytes.
    pub part_bytes: (u64, u64),
}

impl Parallelism {
    /// So many threads, and parts of a size that suits real files.
    pub fn of(threads: usize) -> Self {
        Self {
            threads,
            part_bytes: (PART_BYTES_MIN, PART_BYTES_MAX),
        }
    }
}

/// Counts every file; results in the order of `jobs`.
///
/// # Errors
/// The first file that can't be read.
pub fn count_all(jobs: &[FileJob<'_>], parallelism: Parallelism, progress: &Progress) -> Result<Vec<Counted>> {
    let joins: Vec<Mutex<Join>> = jobs
        .iter()
        .map(|job| Mutex::new(Join::new(parts(job, parallelism))))
        .collect();
    let tasks: Vec<(usize, usize)> = joins
        .iter()
        .enumerate()
        .flat_map(|(file, join)| (0..lock(join).parts.len()).map(move |part| (file, part)))
        .collect();
    let next_task = AtomicUsize::new(0);
    let work = || -> Result<()> {
        while let Some(&(file, part)) = tasks.get(next_task.fetch_add(1, Ordering::Relaxed)) {
            count_part(&jobs[file], &joins[file], part, progress)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (1..parallelism.threads.min(tasks.len()))
            .map(|_| scope.spawn(work))
            .collect();
        let mut result = work();
        for worker in workers {
            result = result.and(
                worker
                    .join()
                    .unwrap_or_else(|_| Err(anyhow!("a counting thread panicked"))),
            );
        }
        result
    })?;
    Ok(joins
        .into_iter()
        .zip(jobs)
        .map(|(join, job)| job.counted(take(join)))
        .collect())
}

/// The ranges of a file; none of one that has nothing to count.
fn parts(job: &FileJob<'_>, parallelism: Parallelism) -> Vec<Range<u64>> {
    if job.profile.is_none() {
        return Vec::new();
    }
    let Parallelism {
        threads,
        part_bytes: (least, most),
    } = parallelism;
    let size = job.size();
    let part = (size / (threads as u64 * 4)).clamp(least, most);
    let is_one_pass = job.form.is_read_from_the_beginning() || !job.log.source.is_seekable();
    if threads == 1 || size < 2 * part || is_one_pass {
        return std::iter::once(0..u64::MAX).collect();
    }
    let cuts = size / part;
    (0..cuts)
        .map(|index| {
            index * part..if index + 1 == cuts {
                u64::MAX
            } else {
                (index + 1) * part
            }
        })
        .collect()
}

/// The parts of one file, joined in order as they come in.
pub struct Join {
    parts: Vec<Range<u64>>,
    waiting: BTreeMap<usize, Outcome>,
    joined: usize,
    /// What was counted of the parts joined so far, and how they ended.
    pub so_far: Option<Outcome>,
    /// Set once a part met what only one pass can read: the file is counted anew, whole.
    whole: bool,
}

impl Join {
    fn new(parts: Vec<Range<u64>>) -> Self {
        Self {
            parts,
            waiting: BTreeMap::new(),
            joined: 0,
            so_far: None,
            whole: false,
        }
    }
}

fn count_part(job: &FileJob<'_>, join: &Mutex<Join>, part: usize, progress: &Progress) -> Result<()> {
    let (range, is_alone, is_over) = {
        let join = lock(join);
        (join.parts[part].clone(), join.parts.len() == 1, join.whole)
    };
    if is_over {
        return Ok(());
    }
    if is_alone {
        lock(join).so_far = Some(job.count_whole(progress)?);
        return Ok(());
    }
    let greatest = job.look_back(range.start)?;
    let outcome = job.count_range(range, greatest, progress)?;
    let mut join = lock(join);
    join.waiting.insert(part, outcome);
    join_ready(job, &mut join, progress)
}

fn join_ready(job: &FileJob<'_>, join: &mut Join, progress: &Progress) -> Result<()> {
    while !join.whole
        && let Some(mut outcome) = join.waiting.remove(&join.joined)
    {
        if let Some(before) = &join.so_far
            && !outcome.follows(before.greatest, before.next_record)
        {
            let range = join.parts[join.joined].clone();
            outcome = job.count_range(range, before.greatest, progress)?;
            // A part without any record of its own ends where the one before does.
            join.whole |= !outcome.follows(before.greatest, before.next_record);
        }
        join.whole |= job.needs_one_pass(&outcome);
        if join.whole {
            join.waiting.clear();
            join.so_far = Some(job.count_whole(progress)?);
            return Ok(());
        }
        join.so_far = Some(match join.so_far.take() {
            None => outcome,
            Some(mut before) => {
                before.partial.merge(outcome.partial);
                before.partial.bound_kept();
                Outcome {
                    partial: before.partial,
                    ..outcome
                }
            }
        });
        join.joined += 1;
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn take(join: Mutex<Join>) -> Option<Outcome> {
    join.into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .so_far
}

impl Beginning {
    /// The whole of a file, given up where `barren_limit` bytes have no stamp.
    pub fn whole(barren_limit: u64) -> Self {
        Self {
            range: 0..u64::MAX,
            greatest: None,
            barren_limit,
        }
    }
}

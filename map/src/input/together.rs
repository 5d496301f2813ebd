//! Several monitors on one file, counted together: each record is looked at once for what they have in common.

use super::account::Account;
use super::usage::{CpuClock, timed};
use crate::engine::{Batch, Sheets, Tally, Verdicts};
use crate::plan::Plan;
use logline::order::Following;
use logline::records::{RecordReader, Stamps};
use std::sync::Arc;

/// What is counted for one account.
struct Counting {
    tally: Tally<Arc<Plan>>,
    /// Which of the judgements its records are judged by.
    judgement: usize,
}

/// Which records are judged, and by what bound; and the verdicts.
type Judgement = ((usize, i64), Verdicts);

/// Counts the closed records of a reader for all accounts, each from its own next one on, as far as they can be judged.
/// `done` is told what was counted, and of how many records, for each account that has any. What all have in common is
/// charged to them in equal parts.
pub(super) fn count_together<S: Stamps>(
    reader: &RecordReader<S>,
    accounts: &mut [Account],
    sheets: &mut Sheets,
    (following, cpu): (Following, CpuClock),
    mut done: impl FnMut(&mut Account, Option<(Tally<Arc<Plan>>, usize)>),
) {
    let ((judgements, mut countings), mut shared_ns) = timed(cpu, || begin(reader, accounts, sheets, following));
    for batch in Batch::all(reader) {
        let ((), placed_ns) = timed(cpu, || {
            sheets.begin();
            for Counting { tally, judgement } in countings.iter_mut().flatten() {
                let verdicts = &judgements[*judgement].1;
                if tally.place(&batch, batch.part(verdicts.closed()), verdicts) {
                    sheets.want(tally.seated());
                }
            }
            sheets.fill(&batch);
        });
        shared_ns += placed_ns;
        for (account, counting) in accounts.iter_mut().zip(&mut countings) {
            if let Some(counting) = counting {
                let ((), own_ns) = timed(cpu, || counting.tally.add(&batch, sheets));
                account.spent.cpu_ns += own_ns;
            }
        }
    }
    let share_ns = shared_ns / (accounts.len() as u64).max(1);
    for (account, counting) in accounts.iter_mut().zip(countings) {
        let ((), own_ns) = timed(cpu, || {
            let counted = counting.map(|counting| {
                let records = judgements[counting.judgement].1.closed().len();
                (counting.tally, records)
            });
            done(account, counted);
        });
        account.spent.cpu_ns += own_ns + share_ns;
    }
}

/// Judges the records of each account, once for all that ask the same, and gives each its place at the sheets.
fn begin<S: Stamps>(
    reader: &RecordReader<S>,
    accounts: &mut [Account],
    sheets: &mut Sheets,
    following: Following,
) -> (Vec<Judgement>, Vec<Option<Counting>>) {
    let mut judgements: Vec<Judgement> = Vec::new();
    let mut begin_one = |account: &mut Account| {
        let next_offset = account.next_offset();
        let first = reader.closed().partition_point(|record| record.offset < next_offset);
        let asked = (first, account.lateness_ns());
        let known = judgements.iter().position(|(known, _)| *known == asked);
        let judgement = known.unwrap_or_else(|| {
            judgements.push((asked, Verdicts::new(reader, first, asked.1, following)));
            judgements.len() - 1
        });
        (!judgements[judgement].1.closed().is_empty()).then(|| Counting {
            tally: account.tally(sheets, reader.head().lines),
            judgement,
        })
    };
    let countings = accounts.iter_mut().map(&mut begin_one).collect();
    (judgements, countings)
}

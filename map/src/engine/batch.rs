//! Records that are counted together: so many that what is decided once for all of them costs little a record, and so
//! few that what is noted of each stays in the first-level cache.

use logline::records::{Record, RecordReader, Stamps, Texts};
use std::ops::Range;

/// Records of a batch at most.
pub(super) const BATCH_RECORDS: usize = 256;

/// Closed records of a reader, one behind the other.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'r> {
    /// Which of the closed records the first one is.
    first: usize,
    pub(super) records: &'r [Record],
    texts: Texts<'r>,
    /// The least and the greatest stamp.
    stamps: (i64, i64),
}

impl<'r> Batch<'r> {
    /// The closed records of a reader, in batches. The same batches for whoever asks before more are closed.
    pub fn all<S: Stamps>(reader: &'r RecordReader<S>) -> impl Iterator<Item = Self> {
        let texts = reader.texts();
        let chunks = reader.closed().chunks(BATCH_RECORDS);
        chunks.enumerate().map(move |(number, records)| Self {
            first: number * BATCH_RECORDS,
            records,
            texts,
            stamps: least_and_greatest(records),
        })
    }

    /// Which of its records are among so many closed ones from one on.
    pub fn part(&self, of: Range<usize>) -> Range<usize> {
        let within = |closed: usize| closed.saturating_sub(self.first).min(self.records.len());
        within(of.start)..within(of.end)
    }

    /// What its records of a part are among those from a first closed one on.
    pub fn among(&self, part: &Range<usize>, first: usize) -> Range<usize> {
        let from = self.first + part.start - first;
        from..from + part.len()
    }

    /// A record's bytes without its last line end.
    #[inline]
    pub(super) fn bytes(&self, at: usize) -> &'r [u8] {
        self.texts.of(&self.records[at])
    }

    /// The bytes of all records and what stands between them, and where each record's stand in them.
    pub(super) fn span(&self) -> (&'r [u8], impl Fn(usize) -> Range<usize>) {
        let (records, texts) = (self.records, self.texts);
        let place = move |at: usize| texts.place(&records[at]);
        let begin = place(0).start;
        let end = place(records.len() - 1).end;
        let within = move |at: usize| {
            let whole = place(at);
            whole.start - begin..whole.end - begin
        };
        (&texts.bytes()[begin..end], within)
    }

    /// The least and the greatest stamp of some of them.
    pub(super) fn stamps(&self, within: Range<usize>) -> (i64, i64) {
        if within.len() == self.records.len() {
            return self.stamps;
        }
        least_and_greatest(&self.records[within])
    }
}

fn least_and_greatest(records: &[Record]) -> (i64, i64) {
    let stamps = records.iter().map(|record| record.stamp);
    stamps.fold((i64::MAX, i64::MIN), |(least, greatest), stamp| {
        (least.min(stamp), greatest.max(stamp))
    })
}

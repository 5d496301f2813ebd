//! What a look over a file's records shows people before anything of it is counted: how many there are, from when to
//! when, how far out of order, and what one looks like.

use crate::boundary::RecordStamps;
use crate::head::{Source, beginning, readable};
use crate::records::{RecordReader, Stamps};
use crate::stamp::{FileStamps, Profile, StampReader, Zone};
use crate::text::{Encoding, Form, shown};

/// Bytes of one read.
const READ_BYTES: usize = 256 << 10;
/// Text behind the stamp that a sample shows.
const SAMPLE_REST_BYTES: usize = 80;
/// Text before the stamp, and of a line without one, that a sample shows.
const SAMPLE_LINE_BYTES: usize = 400;

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    /// Bytes that were looked at.
    pub bytes: u64,
    /// Physical lines.
    pub lines: u64,
    /// Records.
    pub records: u64,
    /// Stamp of the first record.
    pub first_ns: Option<i64>,
    /// Stamp of the last one.
    pub last_ns: Option<i64>,
    /// The greatest distance of a stamp behind the greatest before it.
    pub max_back_ns: i64,
    /// A stamped line, the stamp in ⟦ ⟧.
    pub sample: Option<String>,
    greatest_ns: i64,
}

/// Finds stamps by a profile, or none.
struct Maybe(Option<RecordStamps>);

impl Stamps for Maybe {
    fn read(&mut self, line: &[u8], offset: u64) -> Option<i64> {
        self.0.as_mut()?.read(line, offset)
    }

    fn encoding(&self) -> Encoding {
        self.0.as_ref().map_or(Encoding::Bytes, Stamps::encoding)
    }
}

/// Looks over all that a source lets be read.
///
/// # Errors
/// If the file can't be read.
pub fn survey<S: Source>(log: &S, profile: Option<&Profile>, form: Form, zone: &Zone) -> Result<Survey, S::Error> {
    let mut survey = Survey::default();
    for stretch in readable(log, form) {
        let stamps = |profile| RecordStamps::new(FileStamps::new(profile, zone), None).with_form(form);
        let mut reader = RecordReader::new(Maybe(profile.map(stamps)), beginning(&stretch), stretch.start);
        let mut offset = stretch.start;
        loop {
            // Stretches may meet: what follows is the next one's.
            let left = stretch.end.saturating_sub(offset);
            let room = usize::try_from(left).map_or(READ_BYTES, |left| left.min(READ_BYTES));
            let read = log.read_at(&mut reader.space(READ_BYTES)[..room], offset)?;
            offset += read as u64;
            match read {
                // A line that the stretch cuts is none.
                0 if offset < log.size() => reader.close(),
                0 => reader.finish(),
                read => reader.advance(read),
            }
            survey.take(&reader, (profile, form, zone));
            reader.release(reader.closed().len());
            if read == 0 {
                break;
            }
        }
        survey.bytes += offset - stretch.start;
        survey.lines += reader.head().lines;
    }
    Ok(survey)
}

impl Survey {
    fn take(&mut self, reader: &RecordReader<Maybe>, (profile, form, zone): (Option<&Profile>, Form, &Zone)) {
        if let (None, Some(first), Some(profile)) = (&self.sample, reader.closed().first(), profile) {
            let lines = form.lines(reader.text(first), first.offset);
            let line = lines.first().map_or(&[][..], |(_, line)| line);
            self.sample = Some(sample(line, profile, first.offset, zone));
        }
        for record in reader.closed() {
            let stamp = record.stamp;
            self.greatest_ns = self.first_ns.map_or(stamp, |_| self.greatest_ns.max(stamp));
            self.max_back_ns = self.max_back_ns.max(self.greatest_ns.saturating_sub(stamp));
            self.first_ns = self.first_ns.or(Some(stamp));
            self.last_ns = Some(stamp);
            self.records += 1;
            self.lines += record.lines;
        }
    }

    /// Records by lines, to four digits.
    pub fn stamped_share(&self) -> f64 {
        (self.records as f64 / self.lines.max(1) as f64 * 1e4).round() / 1e4
    }

    /// The greatest disorder in milliseconds, rounded up; none where there is no record.
    pub fn max_back_ms(&self) -> Option<i64> {
        let back_ns = self.max_back_ns;
        self.first_ns
            .map(|_| back_ns / 1_000_000 + i64::from(back_ns % 1_000_000 > 0))
    }

    /// What to set `lateness` to so that no record that was seen is late: whole seconds, and 10 s at least.
    pub fn lateness_advice(&self) -> Option<String> {
        let back_ns = self.max_back_ns;
        let seconds = (back_ns / 1_000_000_000 + i64::from(back_ns % 1_000_000_000 > 0)).max(10);
        self.first_ns.map(|_| format!("{seconds}s"))
    }
}

/// The first line of a record, its stamp in brackets.
fn sample(line: &[u8], profile: &Profile, offset: u64, zone: &Zone) -> String {
    let entry = profile.entries.iter().rev().find(|entry| entry.offset <= offset);
    let entry = entry.unwrap_or(&profile.entries[0]);
    let mut reader = StampReader::new(entry, zone.clone());
    let Some((_, span)) = reader.read_with_span(line) else {
        return shown(&line[..line.len().min(SAMPLE_LINE_BYTES)]);
    };
    let begin = span.start.saturating_sub(SAMPLE_LINE_BYTES);
    let end = line.len().min(span.end + SAMPLE_REST_BYTES);
    format!(
        "{}⟦{}⟧{}",
        shown(&line[begin..span.start]),
        shown(&line[span.clone()]),
        shown(&line[span.end..end])
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::{Said, learn_head};
    use std::convert::Infallible;
    use std::ops::Range;

    /// Bytes of which only some stretches can be read.
    struct Parts {
        bytes: Vec<u8>,
        stretches: Vec<Range<u64>>,
    }

    impl Source for Parts {
        type Error = Infallible;

        fn size(&self) -> u64 {
            self.bytes.len() as u64
        }

        fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Infallible> {
            let stretch = self.stretches.iter().find(|stretch| stretch.contains(&offset));
            let end = stretch.map_or(offset, |stretch| stretch.end) as usize;
            let from = &self.bytes[offset as usize..end.max(offset as usize)];
            let count = from.len().min(buffer.len());
            buffer[..count].copy_from_slice(&from[..count]);
            Ok(count)
        }

        fn stretches(&self) -> Vec<Range<u64>> {
            self.stretches.clone()
        }
    }

    fn log(seconds: Range<u32>) -> Vec<u8> {
        let line = |second| {
            format!(
                "2026-11-23 07:{:02}:{:02} INFO \x1b[31mred\x1b[0m\n",
                second / 60,
                second % 60
            )
        };
        seconds.map(line).collect::<String>().into_bytes()
    }

    #[track_caller]
    fn look(bytes: Vec<u8>, stretches: &[Range<u64>]) -> Survey {
        let parts = Parts {
            bytes,
            stretches: stretches.to_vec(),
        };
        let Ok(head) = learn_head(&parts, &Zone::utc(), 0, Said::default());
        let Ok(survey) = survey(&parts, head.profile.as_ref(), head.form, &Zone::utc());
        survey
    }

    #[test]
    fn head_and_tail_are_seen_and_torn_lines_are_not_counted() {
        let bytes = log(0..600);
        let (line, size) = (bytes.len() as u64 / 600, bytes.len() as u64);
        let whole = look(bytes.clone(), std::slice::from_ref(&(0..size)));
        assert_eq!((whole.records, whole.lines, whole.bytes), (600, 600, size));
        // Ten lines and a half, and the last ten and a half.
        let parts = look(bytes, &[0..line * 21 / 2, size - line * 21 / 2..size]);
        assert_eq!((parts.records, parts.lines), (20, 20));
        assert_eq!((parts.first_ns, parts.last_ns), (whole.first_ns, whole.last_ns));
        assert_eq!(
            parts.sample.as_deref(),
            Some("⟦2026-11-23 07:00:00⟧ INFO \\x1b[31mred\\x1b[0m")
        );
    }

    #[test]
    fn disorder_is_told_across_the_gap() {
        let mut bytes = log(100..200);
        let middle = bytes.len() as u64;
        bytes.extend(log(150..160));
        let size = bytes.len() as u64;
        let survey = look(bytes, &[0..middle, middle - 1..size]);
        assert_eq!((survey.records, survey.max_back_ms()), (110, Some(49_000)));
        assert_eq!(survey.lateness_advice().as_deref(), Some("49s"));
    }

    #[test]
    fn utf_16_is_looked_at_from_its_beginning_alone() {
        let text = String::from_utf8(log(0..600)).expect("text");
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let size = bytes.len() as u64;
        let survey = look(bytes, &[0..size / 4, size - 1000..size]);
        assert_eq!((survey.records, survey.bytes), (150, size / 4));
    }

    #[test]
    fn a_file_without_stamps_has_lines() {
        let survey = look(b"a\nb\nc".to_vec(), std::slice::from_ref(&(0..5)));
        assert_eq!((survey.lines, survey.records, survey.lateness_advice()), (3, 0, None));
    }
}

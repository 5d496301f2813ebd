//! Instants as they are written in logs.

use super::mixing::{Salt, Stream};
use crate::oracle::StampForm;
use crate::oracle::stamps::{days_in_month, days_in_year};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
/// Zones of stamps that have one, in minutes east; mixed in one file.
const ZONES_MINUTES: [i64; 4] = [0, 60, -300, 330];

/// Writes an instant; each line has its zone (or decimal separator) by chance.
pub fn write(form: StampForm, stamp_ms: i64, stream: &Stream, seq: u64) -> String {
    let choice = stream.below(seq, Salt::Zone, 4) as usize;
    match form {
        StampForm::Iso => {
            let ([year, month, day], [hour, minute, second]) = civil(stamp_ms);
            let (separator, millis) = (if choice == 0 { ',' } else { '.' }, stamp_ms.rem_euclid(1000));
            format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{separator}{millis:03}")
        }
        StampForm::Clf => {
            let zone = ZONES_MINUTES[choice];
            let ([year, month, day], [hour, minute, second]) = civil(stamp_ms + zone * 60_000);
            let name = month_name(month);
            let sign = if zone < 0 { '-' } else { '+' };
            let (zone_hour, zone_minute) = (zone.abs() / 60, zone.abs() % 60);
            format!("{day:02}/{name}/{year:04}:{hour:02}:{minute:02}:{second:02} {sign}{zone_hour:02}{zone_minute:02}")
        }
        StampForm::Syslog { .. } => {
            let ([_, month, day], [hour, minute, second]) = civil(stamp_ms);
            format!("{} {day:2} {hour:02}:{minute:02}:{second:02}", month_name(month))
        }
        StampForm::EpochMillis => format!("{stamp_ms:013}"),
    }
}

fn month_name(month: i64) -> &'static str {
    MONTHS[usize::try_from(month - 1).unwrap_or_default()]
}

/// (year, month, day) and (hour, minute, second) in UTC, of an instant since 1970.
fn civil(stamp_ms: i64) -> ([i64; 3], [i64; 3]) {
    let mut days = stamp_ms.div_euclid(86_400_000);
    let mut year = 1970;
    while days >= days_in_year(year) {
        days -= days_in_year(year);
        year += 1;
    }
    let mut month = 1;
    while days >= days_in_month(year, month) {
        days -= days_in_month(year, month);
        month += 1;
    }
    let second = stamp_ms.div_euclid(1000).rem_euclid(86_400);
    ([year, month, days + 1], [second / 3600, second / 60 % 60, second % 60])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::stamps::{NANOS_PER_MILLISECOND, at};

    #[test]
    fn what_is_written_is_read() {
        let stream = Stream::new("h", "f", 1);
        for form in [
            StampForm::Iso,
            StampForm::Clf,
            StampForm::Syslog { year: 2026 },
            StampForm::EpochMillis,
        ] {
            for seq in 0..2000 {
                // Within 2026, whole seconds.
                let stamp_ms = 1_767_225_600_000 + (stream.below(seq, Salt::Jitter, 31_536_000) as i64) * 1000;
                let text = write(form, stamp_ms, &stream, seq);
                assert_eq!(
                    at(text.as_bytes(), form),
                    Some(i128::from(stamp_ms) * NANOS_PER_MILLISECOND),
                    "{text}"
                );
            }
        }
    }
}

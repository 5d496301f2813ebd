//! Lines that carry no stamp, although some look as if they did, and values that are no ordinary values.

use crate::oracle::StampForm;

/// Lines before a file's first stamped line.
pub const HEAD: &str = "# log opened by shop 1.4\n\nHeader1: abc\n";

/// Ordinary continuation lines.
const PLAIN: [&str; 5] = [
    "\tat shop.pay.Gate.run(Gate.java:42)",
    "",
    "Caused by: connection reset",
    "\t... 12 more",
    "}",
];

/// Numbers halfway between two of nine fraction digits.
pub const TIES: [&str; 4] = ["0.0000000005", "0.0000000015", "-0.0000000025", "12.3456789125"];

/// Numbers at the edges of what is a number.
pub const ODD_NUMBERS: [&str; 30] = [
    "1000000000000000",
    "-1000000000000000",
    "999999999999999.999999999",
    "1000000000000000.000000001",
    "-1000000000000001",
    "1e15",
    "1e16",
    "1e999",
    "123456789012345678901234567890",
    "0.000000001",
    "0.00000000050000000000000000001",
    "1e-10",
    "25e-1",
    "1E+3",
    "-0",
    "-17.25",
    "007",
    "+5",
    ".5",
    "5.",
    "NaN",
    "inf",
    "0x10",
    "1_000",
    "1,5",
    "--1",
    "1e",
    "12ms",
    "none",
    "١",
];

/// Unstamped lines that look almost like stamped ones.
pub fn almost_stamps(form: StampForm) -> &'static [&'static str] {
    match form {
        StampForm::Iso => &[
            "2026-13-03 07:31:00.000 thirteenth month",
            "2026-02-30 07:31:00.000 thirtieth of February",
            "2026-11-03 24:00:00.000 hour 24",
            "2026-11-03 07:61:00.000 minute 61",
            "2026-11-",
        ],
        StampForm::Clf => &[
            "10.0.0.9 - - [03/Nox/2026:07:31:00 +0000] no such month",
            "10.0.0.9 - - [31/Nov/2026:07:31:00 +0000] no such day",
            "10.0.0.9 - - [03/Nov/2026:25:31:00 +0000] no such hour",
            "10.0.0.9 - - [03/Nov/20",
        ],
        StampForm::Syslog { .. } => &[
            "Nox  3 07:31:00 web1 app: no such month",
            "Nov 31 07:31:00 web1 app: no such day",
            "Nov  3 25:31:00 web1 app: no such hour",
            "Nov  3 07:",
        ],
        StampForm::EpochMillis => &[
            "179369100000 twelve digits",
            "17936910000000 fourteen digits",
            "1793691000x",
        ],
    }
}

/// Unstamped lines with a good date in the middle.
pub fn dates_in_mid_line(form: StampForm) -> &'static [&'static str] {
    match form {
        StampForm::Iso => &["\tdeadline was 2026-11-03 07:31:00.000 for op=pay"],
        StampForm::Clf => &["\tdeadline was 03/Nov/2026:07:31:00 +0000 for op=pay"],
        StampForm::Syslog { .. } => &["\tdeadline was Nov  3 07:31:00 for op=pay"],
        StampForm::EpochMillis => &["\tdeadline was 1793691060000 for op=pay"],
    }
}

/// One of the continuation lines, without line end.
pub fn continuation(form: StampForm, choice: u64) -> &'static str {
    let all: Vec<&str> = [&PLAIN, almost_stamps(form), dates_in_mid_line(form)].concat();
    all[(choice % all.len() as u64) as usize]
}

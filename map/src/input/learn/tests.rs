//! What is kept of what was learned stands for the same.

use super::*;
use agent::protocol::Identity;
use proptest::prelude::*;

/// 2026-11-23T12:00:00Z
const WRITTEN_S: i64 = 1_795_435_200;
const FORMATS: [&str; 6] = [
    "%Y-%m-%dT%H:%M:%S%.3fZ",
    "%Y-%m-%d %H:%M:%S",
    "%d/%b/%Y:%H:%M:%S +0200",
    "%b %e %H:%M:%S",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %I:%M:%S %p",
];

fn known(format: Option<&str>, stamp_zone: StampZone) -> Circumstances {
    let zone = match &stamp_zone {
        StampZone::Named(name) => name,
        StampZone::Host => "Europe/Rome",
    };
    Circumstances {
        format: format.map(|format| Format::parse_override(format).expect("a format")),
        zone: Zone::parse(zone).expect("a zone"),
        stamp_zone,
        written_seconds: WRITTEN_S,
        seen_from: None,
        records: None,
        encoding: None,
    }
}

/// A file of lines that step back now and then.
fn file(format: &str, before: &str, steps: &[i64]) -> Vec<u8> {
    let mut seconds = WRITTEN_S - 1_000_000;
    let line = |step: &i64| {
        seconds += step;
        let time = jiff::Timestamp::from_second(seconds).expect("a time");
        let time = jiff::tz::TimeZone::UTC.to_datetime(time);
        format!("{before}{} took=3 x={step}\n", time.strftime(format))
    };
    steps.iter().map(line).collect::<String>().into_bytes()
}

fn read(learned: &Learned, sample: &[u8]) -> Vec<Option<i64>> {
    let mut stamps = learned.stamps();
    let lines = learned.form().lines(sample, 0);
    lines.iter().map(|(at, line)| stamps.read(line, *at)).collect()
}

const LIFE: KeptLife = KeptLife {
    file: Identity {
        device: 1,
        inode: 2,
        birth_ns: None,
    },
    first_ns: 3,
    until_ns: None,
    fingerprint: None,
};

proptest! {
    #[test]
    fn what_is_kept_reads_alike(
        format in prop::sample::select(&FORMATS[..]),
        later in prop::sample::select(&FORMATS[..]),
        before in prop::sample::select(&["", "[", "srv1 app: "][..]),
        steps in prop::collection::vec(-40..4000i64, 3..60),
        zone in prop::sample::select(vec![StampZone::Host, StampZone::Named("+05:30".to_owned())]),
        is_given in any::<bool>(),
    ) {
        let (sample, more) = (file(format, before, &steps), file(later, before, &steps));
        let given = (is_given && !format.contains("%.3f")).then_some(format);
        let known = known(given, zone);
        let mut learned = Learned::from_sample(&sample, 0, &known).expect("stamps");
        let is_appended = learned.append(&more, sample.len() as u64, &known);
        prop_assert_eq!(learned.appended, u32::from(is_appended));
        let kept = learned.to_kept(LIFE);
        let bytes = rmp_serde::to_vec_named(&kept).expect("encodes");
        let kept: KeptProfile = rmp_serde::from_slice(&bytes).expect("decodes");
        // The file has grown since, and was written later.
        let whole = [sample, more].concat();
        let later = Circumstances { written_seconds: WRITTEN_S + 40_000_000, ..known };
        let back = Learned::from_kept(&kept, &whole, 0, &later).expect("is believed");
        prop_assert!(back.reads_like(&learned));
        prop_assert_eq!(back.to_kept(LIFE), kept);
        prop_assert_eq!(back.version(), learned.version());
        prop_assert_eq!(read(&back, &whole), read(&learned, &whole));
        prop_assert!(read(&back, &whole).iter().any(Option::is_some));
    }
}

#[test]
fn a_profile_of_other_overrides_or_of_no_zone_is_not_believed() {
    let sample = file(FORMATS[1], "", &[1, 2, 3]);
    let host = known(None, StampZone::Host);
    let is_believed = |kept: &Circumstances, now: &Circumstances| {
        let kept = Learned::from_sample(&sample, 0, kept).expect("stamps").to_kept(LIFE);
        Learned::from_kept(&kept, &sample, 0, now).is_some()
    };
    let given = known(Some(FORMATS[1]), StampZone::Host);
    let unnamed = known(None, StampZone::Named("+02:00".to_owned()));
    assert!(is_believed(&host, &host) && is_believed(&given, &given));
    assert!(!is_believed(&host, &given) && !is_believed(&given, &host));
    // A host that had no name for its zone keeps the offset; one that lost its name has none.
    assert!(is_believed(&unnamed, &host) && !is_believed(&host, &unnamed));
    let kept = Learned::from_sample(&sample, 0, &host).expect("stamps").to_kept(LIFE);
    assert!(Learned::from_kept(&kept, b"no stamp\n", 0, &host).is_none());
}

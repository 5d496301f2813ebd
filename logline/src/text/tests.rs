//! Tests of encodings and envelopes.

use super::*;
use crate::boundary::RecordStamps;
use crate::records::{RecordReader, Start};
use crate::stamp::{FileStamps, Zone};
use encoding_rs::{GB18030, GBK, UTF_16BE, UTF_16LE};

/// Stamps in seconds, physical lines and text of the records of a file, read in pieces of so many bytes.
fn records(file: &[u8], given: Option<Encoding>, piece: usize) -> Vec<(i64, u64, Result<String, NoText>)> {
    let (form, detection) = learn_text(file, given, None);
    let Detection::Stamped(detected) = detection else {
        panic!("{form:?}: {detection:?}")
    };
    let stamps = FileStamps::new(&detected.profile, &Zone::utc());
    let stamps = RecordStamps::new(stamps, None).with_form(form);
    let mut reader = RecordReader::new(stamps, Start::FileStart, 0);
    file.chunks(piece).for_each(|piece| reader.push(piece));
    reader.finish();
    assert_eq!(reader.head().lines, 0, "a head");
    let mut text = TextReader::new(form);
    let record = |record: &crate::records::Record| {
        let text = text.record(reader.text(record));
        let text = text.map(|text| String::from_utf8(text.to_vec()).expect("UTF-8"));
        (record.stamp / 1_000_000_000 % 60, record.lines, text)
    };
    reader.closed().iter().map(record).collect()
}

#[track_caller]
fn check(file: &[u8], given: Option<Encoding>, expected: &[(i64, u64, &str)]) {
    for piece in [1, 2, 3, 7, 64, file.len()] {
        let found = records(file, given, piece);
        let found: Vec<_> = found
            .iter()
            .map(|(second, lines, text)| (*second, *lines, text.as_deref().unwrap_or("parted")))
            .collect();
        assert_eq!(found, expected, "in pieces of {piece}");
    }
}

const CRI: &str = "2016-10-06T00:17:01.669794202Z stdout P {\"a\":1,\n\
    2016-10-06T00:17:02.1Z stderr F other\n\
    2016-10-06T00:17:03.669794202Z stdout P \"b\":2,\n\
    2016-10-06T00:17:04.669794202Z stdout F \"c\":3}\n\
    2016-10-06T00:17:05.0Z stdout F 2020-01-01 10:00:00 INFO x\n\
    2016-10-06T00:17:06.0Z stdout F \n\
    2016-10-06T00:17:07.0Z stdout F\n";

#[test]
fn cri_parts_are_one_record() {
    let expected = [
        (1, 1, "parted"),
        (2, 3, "other"),
        (5, 1, "2020-01-01 10:00:00 INFO x"),
        (6, 1, ""),
        (7, 1, ""),
    ];
    check(CRI.as_bytes(), None, &expected);
    let in_order = CRI.replace("stderr", "stdout").replace(" F other", " P other");
    check(
        in_order.as_bytes(),
        None,
        &[
            (1, 4, "{\"a\":1,other\"b\":2,\"c\":3}"),
            (5, 1, "2020-01-01 10:00:00 INFO x"),
            (6, 1, ""),
            (7, 1, ""),
        ],
    );
}

#[test]
fn docker_parts_are_one_record() {
    let file = r#"{"log":"one \"time\":\"2001-01-01T00:00:09Z\" a","stream":"stdout","time":"2016-10-06T00:17:01.5Z"}
{"log":" and two\n","stream":"stdout","attrs":{"tag":"x"},"time":"2016-10-06T00:17:02.5Z"}
{"log":"not cut\\n","stream":"stderr","time":"2016-10-06T00:17:03.5Z"}
{"log":"\u003cb\u003e\n","stream":"stderr","time":"2016-10-06T00:17:04.5Z"}
{"log":"{\"k\": \"v\"}\n","stream":"stdout","time":"2016-10-06T00:17:05.5Z"}
"#;
    check(
        file.as_bytes(),
        None,
        &[
            (1, 2, "one \"time\":\"2001-01-01T00:00:09Z\" a and two"),
            (3, 2, "not cut\\n<b>"),
            (5, 1, "{\"k\": \"v\"}"),
        ],
    );
}

#[test]
fn fields_are_learned_of_what_stands_in_envelopes() {
    let form = Form::detect(CRI.as_bytes(), None);
    let text = form.unwrapped(CRI.as_bytes());
    assert!(
        text.starts_with(b"{\"a\":1,other\n\"b\":2,\"c\":3}\n2020"),
        "{}",
        text.escape_ascii()
    );
}

#[test]
fn a_long_line_of_two_byte_units_is_cut_and_the_next_one_found() {
    let mut text = "2023-08-19 11:08:37 ".to_owned();
    text.push_str(&"支ਊ".repeat(400));
    text.push_str("\n2023-08-19 11:08:38 x\n");
    for encoding in [UTF_16LE, UTF_16BE] {
        let file = encoded(encoding, &text);
        let (form, detection) = learn_text(&file, Some(Encoding::Decoded(encoding)), None);
        let Detection::Stamped(detected) = detection else {
            panic!("{detection:?}")
        };
        for piece in [1, 3, 64, 777] {
            let stamps = FileStamps::new(&detected.profile, &Zone::utc());
            let stamps = RecordStamps::new(stamps, None).with_form(form);
            let mut reader = RecordReader::with_limit(stamps, Start::FileStart, 0, 100);
            file.chunks(piece).for_each(|piece| reader.push(piece));
            reader.finish();
            let found: Vec<_> = reader
                .closed()
                .iter()
                .map(|record| (record.lines, record.bytes))
                .collect();
            assert_eq!(found, [(1, 42 + 1600), (1, 44)], "in pieces of {piece}");
        }
    }
}

#[test]
fn what_only_looks_like_an_envelope_is_none() {
    let form = |text: &str| Form::detect(text.as_bytes(), None);
    assert!(form("{\"log\":\"x\",\"level\":1}\n{\"log\":\"y\",\"level\":1}\n").is_plain());
    assert!(form("2016-10-06T00:17:01Z stdout something\n2016-10-06T00:17:01Z stderr F x\n").is_plain());
    assert!(form("").is_plain());
    assert_eq!(form(CRI).envelope, Envelope::Cri);
}

const CHINESE: &str = "2023-08-19 11:08:37 支付 金额=12|状态=成功\n2023-08-19 11:08:38 ਊĊ支付\r\n  接着\n";

/// Encodes as `encoding_rs` does, and UTF-16 by hand: that it does not write.
fn encoded(encoding: &'static encoding_rs::Encoding, text: &str) -> Vec<u8> {
    if encoding == UTF_16LE {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    } else if encoding == UTF_16BE {
        text.encode_utf16().flat_map(u16::to_be_bytes).collect()
    } else {
        encoding.encode(text).0.into_owned()
    }
}

#[test]
fn utf_16_is_recognised_with_and_without_its_mark() {
    let expected = [
        (37, 1, "2023-08-19 11:08:37 支付 金额=12|状态=成功"),
        (38, 2, "2023-08-19 11:08:38 ਊĊ支付\r\n  接着"),
    ];
    for encoding in [UTF_16LE, UTF_16BE] {
        check(&encoded(encoding, &format!("\u{feff}{CHINESE}")), None, &expected);
        check(&encoded(encoding, CHINESE), None, &expected);
    }
}

#[test]
fn encodings_that_are_given() {
    let expected = [
        (37, 1, "2023-08-19 11:08:37 支付 金额=12|状态=成功"),
        (38, 2, "2023-08-19 11:08:38 ਊĊ支付\r\n  接着"),
    ];
    check(&encoded(GB18030, CHINESE), Some(Encoding::Decoded(GB18030)), &expected);
    let month = "05 août 2023 18:04:07 é\n06 août 2023 18:04:08 x\n";
    let latin = Encoding::parse("latin1").expect("known");
    check(
        &encoded(encoding_rs::WINDOWS_1252, month),
        Some(latin),
        &[(7, 1, "05 août 2023 18:04:07 é"), (8, 1, "06 août 2023 18:04:08 x")],
    );
}

#[test]
fn what_is_no_text_is_undecodable_and_only_that() {
    let mut file = encoded(GBK, "2023-08-19 11:08:37 支付\n2023-08-19 11:08:38 ");
    file.extend_from_slice(b"\x81\xff\n2023-08-19 11:08:39 x\n");
    let found = records(&file, Some(Encoding::Decoded(GBK)), 5);
    let ok: Vec<bool> = found.iter().map(|(_, _, text)| text.is_ok()).collect();
    assert_eq!(ok, [true, false, true]);
}

#[track_caller]
fn check_name(name: &str, expected: Result<&str, &str>) {
    let found = Encoding::parse(name)
        .map(Encoding::name)
        .map_err(|error| error.to_string());
    match (found, expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{name}"),
        (Err(found), Err(part)) => assert!(found.contains(part), "{name}: {found}"),
        (found, expected) => panic!("{name}: {found:?} and not {expected:?}"),
    }
}

#[test]
fn names() {
    check_name("gbk", Ok("GBK"));
    check_name("GB18030", Ok("gb18030"));
    check_name("latin1", Ok("windows-1252"));
    check_name("utf-8", Ok("UTF-8"));
    check_name("utf-16le", Ok("UTF-16LE"));
    check_name("iso-2022-jp", Err("shift states"));
    check_name("klingon", Err("unknown encoding `klingon`"));
}

#[test]
fn records_that_end_in_nul_are_told_from_lines_with_one() {
    let ended: &[&[u8]] = &[
        b"2026-01-02 03:04:05 a\x002026-01-02 03:04:06 b\x002026-01-02 03:04:07 c\0",
        b"2026-01-02 03:04:05 a\n  more\x002026-01-02 03:04:06 b\x002026-01-02 03:04:07 c\0",
    ];
    let lines: &[&[u8]] = &[
        b"",
        b"a\0b\nc\nd\n",
        b"\0\0\0\0a\nb\0\0c\n",
        b"a\0\nb\0\nc\0\r\n",
        b"one\0two",
    ];
    assert!(ended.iter().all(|sample| super::ends_in_nul(sample)));
    assert!(!lines.iter().any(|sample| super::ends_in_nul(sample)));
    let (_, detection) = learn_text(ended[0], None, None);
    assert!(matches!(detection, Detection::Unstamped { why } if why == super::NUL_ENDED));
}

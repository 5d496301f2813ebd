//! Properties that hold for every input: nothing panics, and each form agrees with a slow and obvious reading of it.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::testing::{Fields, cut};
use super::{Extractor, Rule, Scratch, Slot, Unparsable};

/// Every form, with columns that suit it.
fn all_rules() -> Vec<(Rule, Vec<&'static str>)> {
    let names = ["a", "b", "c"].map(str::to_owned);
    let marks = |name: &str, left: &str, right: &str| (name.to_owned(), left.to_owned(), right.to_owned());
    let marked = [marks("a", "[", "]"), marks("b", "a=", ""), marks("c", "", " ")];
    vec![
        (Rule::json(), vec!["a", "a.b", "a[0].b", "b"]),
        (Rule::logfmt(), vec!["a", "b", "c"]),
        (Rule::kv("|", "=", None).expect("good"), vec!["a", "b"]),
        (Rule::kv(", ", "=\"", Some("] ")).expect("good"), vec!["a", "b"]),
        (Rule::split("|", &names).expect("good"), vec!["a", "c", "$2"]),
        (Rule::split("whitespace", &[]).expect("good"), vec!["$3", "$1"]),
        (Rule::between(&marked).expect("good"), vec!["a", "b", "c"]),
        (
            Rule::regex(r"(?<a>\w+)=(?<b>[^ ]*)|(?<c>\d)").expect("good"),
            vec!["a", "b", "c"],
        ),
        (Rule::clf(), vec!["ident", "bytes", "uri", "protocol"]),
        (Rule::nginx_combined(), vec!["status", "bytes", "user_agent", "method"]),
        (Rule::nginx(r#"[$a] "$b"|$c"#).expect("good"), vec!["a", "b", "c"]),
    ]
}

/// Bytes as they occur in logs and in broken ones: mostly the bytes that the forms look for.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let telling = prop::sample::select(br#"ab=|"\[]{}:,.- 01uHTP/nd"#.to_vec());
    let byte = prop_oneof![8 => telling, 1 => any::<u8>(), 1 => prop::sample::select(b"\r\n\t ".to_vec())];
    vec(byte, 0..200)
}

/// Random documents whose keys repeat and whose strings need escapes.
fn document() -> impl Strategy<Value = Value> {
    let text = prop_oneof!["[ab]{0,2}", "\\PC{0,6}", "[\\x00-\\x20\"\\\\/é😀]{0,5}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Eighths, which serde_json reads back exactly; it does not do so for every number.
        any::<i32>().prop_map(|number| Value::from(f64::from(number) / 8.0)),
        Just(Value::from(1e300)),
        text.clone().prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(4, 40, 5, move |inner| {
        let key = prop_oneof![4 => "[ab]", 1 => text.clone(), 1 => Just("a.b".to_owned())];
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((key, inner), 0..5).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    let key = prop_oneof![3 => "[ab]", 1 => Just("a.b".to_owned()), 1 => Just("a[0]".to_owned())];
    vec((key, value), 0..5).prop_map(|members| Value::Object(members.into_iter().collect()))
}

/// A value as a column shows it.
fn shown(value: Option<&Value>) -> Option<Value> {
    value.filter(|value| !value.is_null()).cloned()
}

/// A path followed in serde_json's tree, the key of the object itself first.
fn followed(document: &Value, column: &str) -> Option<Value> {
    let mut steps = column
        .split(['.', '['])
        .map(|step| (step.trim_end_matches(']'), step.ends_with(']')));
    let path = steps.try_fold(document, |value, (step, element)| match (value, element) {
        (Value::Array(elements), true) => elements.get(step.parse::<usize>().ok()?),
        (Value::Object(members), false) => members.get(step),
        _ => None,
    });
    shown(document.get(column).or(path))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics(records in vec(noise(), 1..4), any_bytes in vec(any::<u8>(), 0..100)) {
        for (rule, columns) in all_rules() {
            let columns: Vec<String> = columns.into_iter().map(str::to_owned).collect();
            let mut extractor = Extractor::new(&rule, &columns).expect("the columns suit the rule");
            let (mut scratch, mut out) = (Scratch::default(), vec![Slot::Absent; columns.len()]);
            for record in records.iter().chain([&any_bytes]) {
                let _any_result = extractor.extract(record, &mut scratch, &mut out);
                for slot in &out {
                    let absent = *slot == Slot::Absent;
                    prop_assert_eq!(slot.bytes(record, &scratch).is_none(), absent, "a slot lies in its buffer");
                }
            }
        }
        let sample = records.join(&b'\n');
        let _any_rule = Rule::detect(&sample, Some(any_bytes.len()));
    }

    #[test]
    fn fewer_columns_change_no_value(record in noise()) {
        for (rule, columns) in all_rules() {
            let Ok(all) = cut(&rule, &columns, &record) else { continue };
            for (column, expected) in columns.iter().zip(all) {
                // A field alone may be missing where another makes the record parsable.
                match cut(&rule, &[column], &record) {
                    Ok(alone) => prop_assert_eq!(&alone[0], &expected, "{} of {}", column, rule.name()),
                    Err(reason) => prop_assert_eq!((reason, expected), (Unparsable::NothingBetween, None)),
                }
            }
        }
    }

    #[test]
    fn json_agrees_with_serde(document in document(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) };
        let text = text.expect("a document is text");
        let columns = ["a", "b", "a.b", "a.a.b", "a[0]", "b[1].a", "b.a[0]"];
        let fields = cut(&Rule::json(), &columns, text.as_bytes()).expect("well-formed");
        for (column, field) in columns.iter().zip(fields) {
            match followed(&document, column) {
                Some(Value::String(expected)) => prop_assert_eq!(field, Some(expected), "{}", column),
                expected => {
                    let found: Option<Value> = field.map(|raw| serde_json::from_str(&raw).expect("json"));
                    prop_assert_eq!(found, expected, "{}", column);
                }
            }
        }
    }

    #[test]
    fn json_accepts_what_serde_accepts(
        document in document(),
        changes in vec((any::<prop::sample::Index>(), prop_oneof![
            prop::sample::select(br#"{}[]",:\0-+.eEutfn1a "#.to_vec()), any::<u8>(),
        ], 0..3_u8), 0..4),
        column in prop::sample::select(vec!["a", "b.a", "a[0].b"]),
    ) {
        let mut text = serde_json::to_vec(&document).expect("a document is text");
        for (place, byte, kind) in changes {
            let place = place.index(text.len());
            match kind {
                0 => text[place] = byte,
                1 => text.insert(place, byte),
                _ if text.len() > 1 => drop(text.remove(place)),
                _ => {}
            }
        }
        // Serde knows no text before the object and no lines after it.
        text.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
        let start = text.iter().position(|&byte| byte == b'{').unwrap_or(text.len());
        let object = &text[start..];
        // What is skipped, serde checks as we do: the grammar, but not whether strings are UTF-8.
        let serde = serde_json::from_slice::<serde::de::IgnoredAny>(object);
        let ours = cut(&Rule::json(), &[column], &text);
        prop_assert_eq!(ours.is_ok(), serde.is_ok(), "{:?} {:?}", ours, serde);
    }

    #[test]
    fn kv_agrees_with_a_naive_reading(record in noise(), wide in any::<bool>()) {
        let (pair, assign) = if wide { ("||", "==") } else { ("|", "=") };
        let text: String = record.iter().map(|byte| char::from(byte & 0x7f)).collect();
        let rule = Rule::kv(pair, assign, None).expect("good");
        prop_assert_eq!(cut(&rule, &["a", "b"], text.as_bytes()), naive_kv(&text, pair, assign, &["a", "b"]));
    }

    #[test]
    fn split_agrees_with_a_naive_reading(record in noise(), by in prop::sample::select(vec!["|", "a", "ab", " "])) {
        let text: String = record.iter().map(|byte| char::from(byte & 0x7f)).collect();
        let columns: Vec<&str> = naive_line(&text).split(by).collect();
        let expected = match (columns.first(), columns.get(2)) {
            (Some(first), Some(third)) => Ok(vec![Some((*third).to_owned()), Some((*first).to_owned())]),
            _ => Err(Unparsable::TooFewColumns),
        };
        prop_assert_eq!(cut(&Rule::split(by, &[]).expect("good"), &["$3", "$1"], text.as_bytes()), expected);
    }

    #[test]
    fn nginx_agrees_with_a_naive_reading(
        address in "[a-z0-9.:]{1,20}", user in "[a-z \\[-]{0,12}", time in "[0-9/: +\\]]{0,20}",
        request in "([ -!#-\\[\\]-~]|\\\\\"|\\\\\\\\|\\\\x22){0,60}",
        numbers in "[0-9]{1,3} [0-9-]{1,12}", tail in "([ -~]|\\\\\"){0,60}", torn in any::<prop::sample::Index>(),
    ) {
        let line = format!("{address} - {user} [{time}] \"{request}\" {numbers} \"{tail}");
        for line in [&line[..], &line[..torn.index(line.len())]] {
            let columns = ["remote_addr", "time_local", "request", "status", "body_bytes_sent"];
            prop_assert_eq!(cut(&Rule::nginx_combined(), &columns, line.as_bytes()), naive_nginx(line), "{}", line);
        }
    }
}

/// The first line, read slowly.
fn naive_line(text: &str) -> &str {
    let line = text.split('\n').next().unwrap_or_default();
    line.strip_suffix('\r').unwrap_or(line)
}

/// `kv`, read slowly.
fn naive_kv(text: &str, pair: &str, assign: &str, columns: &[&str]) -> Fields {
    let blanks = [' ', '\t'];
    let mut pairs = Vec::new();
    for (place, part) in naive_line(text).split(pair).enumerate() {
        if let Some((key, value)) = part.split_once(assign) {
            let key = key.trim_matches(blanks);
            let key = if place == 0 {
                key.rsplit(blanks).next().unwrap_or_default()
            } else {
                key
            };
            pairs.push((key, value.trim_matches(blanks)));
        }
    }
    if pairs.is_empty() {
        return Err(Unparsable::NoPair);
    }
    let value = |column: &&str| {
        pairs
            .iter()
            .find(|(key, _)| key == column)
            .map(|(_, value)| (*value).to_owned())
    };
    Ok(columns.iter().map(value).collect())
}

/// `nginx`, read slowly: the text up to each of the format's texts in turn.
fn naive_nginx(line: &str) -> Fields {
    let (mut fields, mut rest) = (Vec::new(), line);
    for (behind, kept) in [(" ", true), (" ", false), (" [", false), ("] \"", true)] {
        let (field, after) = rest.split_once(behind).ok_or(Unparsable::OtherFormat)?;
        if kept {
            fields.push(Some(field.to_owned()));
        }
        rest = after;
    }
    let mut escaped = false;
    let quote = rest.find(|letter| {
        let ends = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        ends
    });
    let (request, after) = rest.split_at(quote.ok_or(Unparsable::OtherFormat)?);
    fields.push(Some(request.to_owned()));
    rest = after.strip_prefix("\" ").ok_or(Unparsable::OtherFormat)?;
    for behind in [" ", " \""] {
        let (field, after) = rest.split_once(behind).ok_or(Unparsable::OtherFormat)?;
        fields.push(Some(field.to_owned()));
        rest = after;
    }
    Ok(fields)
}

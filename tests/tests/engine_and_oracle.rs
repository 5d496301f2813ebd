//! The engine against the oracle: adversarial logs, every strategy, values and losses (C1 to C5 of the contract).

use proptest::prelude::*;
use sunfire_tests::compare::differences;
use sunfire_tests::engine::Engine;
use sunfire_tests::generator::{BodyForm, LogSpec, Mark, Marks, file};
use sunfire_tests::oracle::records::split;
use sunfire_tests::oracle::{
    Aggregate, Beginning, Col, Comparison, Condition, Function, HostFile, Literal, ParseForm, Question, StampForm,
    answer,
};

/// All aggregates of a body's number fields.
fn aggregates(body: &BodyForm) -> Vec<Aggregate> {
    let number = |index: usize| Col::field(body.number_fields()[index % body.number_fields().len()]);
    let group = Col::field(body.group_fields()[0]);
    vec![
        Aggregate::new("count", Function::Count),
        Aggregate::new("lines", Function::Lines),
        Aggregate::new("bytes", Function::Bytes),
        Aggregate::new("sum", Function::Sum(number(0))),
        Aggregate::new("avg", Function::Avg(number(0))),
        Aggregate::new("min", Function::Min(number(1))),
        Aggregate::new("max", Function::Max(number(1))),
        Aggregate::new("stddev", Function::Stddev(number(0))),
        Aggregate::new("p50", Function::Quantile("0.5".to_owned(), number(1))),
        Aggregate::new("p999", Function::Quantile("0.999".to_owned(), number(1))),
        Aggregate::new("distinct", Function::Distinct(group.clone())),
        Aggregate::new("first", Function::First(group.clone())),
        Aggregate::new("last", Function::Last(group.clone())),
        Aggregate::when(
            "some",
            Function::Count,
            Condition::Compare(number(0), Comparison::Greater, ten()),
        ),
        Aggregate::when(
            "part",
            Function::Sum(number(1)),
            Condition::Not(Box::new(Condition::IsNull(group))),
        ),
    ]
}

fn ten() -> Literal {
    Literal::Number("10".to_owned())
}

/// The question number `kind` for a log: none, one, or two columns; filters; small group limits; no fields at all.
fn question(spec: &LogSpec, kind: u64) -> Question {
    let parse: ParseForm = spec.parse_form();
    let mut question = Question::counting(spec.window_ms, spec.lateness_ms, parse);
    if let Some(limit) = spec.record_limit_bytes {
        question.record_limit_bytes = limit;
    }
    if kind == 0 {
        question.aggregates.push(Aggregate::new("lines", Function::Lines));
        question.aggregates.push(Aggregate::new("bytes", Function::Bytes));
        return question;
    }
    let group = |index: usize| Col::field(spec.body.group_fields()[index % spec.body.group_fields().len()]);
    let number = Col::field(spec.body.number_fields()[0]);
    question.aggregates = aggregates(&spec.body);
    match kind {
        1 => question.window_ms = 60_000,
        2 => question.group_by = vec![group(0)],
        3 => {
            question.group_by = vec![group(1), Col::Host];
            question.filter = Some(Condition::Compare(number, Comparison::GreaterOrEqual, ten()));
        }
        4 => {
            question.window_ms = 3_600_000;
            question.group_by = vec![group(0)];
            question.group_limit = 3;
        }
        _ => {
            question.group_by = vec![Col::File, group(0)];
            question.filter = Some(Condition::Or(vec![
                Condition::In(
                    group(0),
                    vec![Literal::Text(b"pay".to_vec()), Literal::Number("200".to_owned())],
                ),
                Condition::IsNull(group(1)),
            ]));
            question.group_limit = 2;
        }
    }
    question
}

fn logs(spec: &LogSpec, hosts: u64, lines: u64, seed: u64) -> Vec<HostFile> {
    (0..hosts)
        .map(|host| file(spec, &format!("h{host}"), &format!("/logs/{host}.log"), lines, seed))
        .collect()
}

#[track_caller]
fn check(spec: &LogSpec, kind: u64, files: &[HostFile], pieces: &[usize], part_bytes: u64, order: u64) {
    check_question(spec, &question(spec, kind), files, pieces, part_bytes, order);
}

#[track_caller]
fn check_question(
    spec: &LogSpec,
    question: &Question,
    files: &[HostFile],
    pieces: &[usize],
    part_bytes: u64,
    order: u64,
) {
    let truth = answer(question, files);
    let engine = Engine::new(question);
    let streamed = engine.stream(files, pieces, order);
    assert_eq!(
        differences(question, &truth, &streamed),
        Vec::<String>::new(),
        "streamed; {spec:?}"
    );
    if question.record_limit_bytes == logline::records::RECORD_LIMIT_BYTES {
        let parts = engine.parts(files, 2, part_bytes);
        assert_eq!(
            differences(question, &truth, &parts),
            Vec::<String>::new(),
            "in parts; {spec:?}"
        );
        assert_eq!(parts.partial, streamed.partial);
    }
}

/// Every form of log, every kind of question, one seed each; and the logs hold what they are meant to.
#[test]
fn every_form_and_question() {
    let mut marks = Marks::default();
    for (index, mut spec) in LogSpec::all_adversarial().into_iter().enumerate() {
        spec.rates.cardinality = 300;
        let files = logs(&spec, 2, 600, 11 + index as u64);
        for log in &files {
            marks.merge(&Marks::of(&spec, &log.bytes));
        }
        for kind in 0..6 {
            check(&spec, kind, &files, &[1 << 16], 8 << 10, 7);
        }
    }
    let elsewhere = [
        Mark::WildAtStart,
        Mark::LongBelowLimit,
        Mark::LongAtLimit,
        Mark::LongAboveLimit,
    ];
    let wanted: Vec<Mark> = Mark::ALL
        .iter()
        .copied()
        .filter(|mark| !elsewhere.contains(mark))
        .collect();
    assert_eq!(marks.missing(&wanted), Vec::<Mark>::new(), "the logs were too tame");
}

/// Where a pattern says which stamped lines begin a record.
fn beginnings() -> Vec<Beginning> {
    let words = ["1", "00", "7", "p", "20"].map(str::to_owned);
    let with = words.clone().map(Beginning::With);
    with.into_iter().chain(words.map(Beginning::Without)).collect()
}

/// A pattern that some lines match and others do not, in every form of log.
#[test]
fn records_begin_where_a_pattern_says() {
    let mut fewer = 0;
    for (index, spec) in LogSpec::all_adversarial().iter().enumerate() {
        let files = logs(spec, 2, 300, 70 + index as u64);
        let count = |beginning: &Beginning| {
            let split = |log: &HostFile| split(&log.bytes, log.stamp, beginning).records.len();
            files.iter().map(split).sum::<usize>()
        };
        for (kind, beginning) in beginnings().into_iter().enumerate() {
            fewer += usize::from((1..count(&Beginning::Stamped)).contains(&count(&beginning)));
            let mut question = question(spec, kind as u64 % 6);
            question.beginning = beginning;
            check_question(spec, &question, &files, &[1 << 16], 4 << 10, 7);
        }
    }
    assert!(fewer > 50, "only {fewer} patterns took some lines and left others");
}

/// Files that begin with wild stamps: what is lost before the first good record has no window yet.
#[test]
fn wild_from_the_start() {
    let mut marks = Marks::default();
    // Numbers of which a quarter lie years apart are no timestamps to anyone who is not told.
    let is_text = |spec: &LogSpec| !matches!(spec.stamp, StampForm::EpochMillis);
    let specs: Vec<LogSpec> = LogSpec::all_adversarial().into_iter().filter(is_text).collect();
    for seed in 0..40 {
        let mut spec = specs[seed as usize % specs.len()].clone();
        spec.rates.wild = 250;
        let files = logs(&spec, 1, 60, seed);
        marks.merge(&Marks::of(&spec, &files[0].bytes));
        check(&spec, seed % 6, &files, &[200], 900, seed);
    }
    assert_eq!(marks.missing(&[Mark::WildAtStart]), Vec::<Mark>::new());
}

/// A small record limit, so that texts at the limit ± 1 occur.
#[test]
fn records_around_the_limit() {
    let mut marks = Marks::default();
    for (index, mut spec) in LogSpec::all_adversarial().into_iter().enumerate() {
        spec.record_limit_bytes = Some(600);
        spec.rates.long = 100;
        let files = logs(&spec, 1, 400, 50 + index as u64);
        marks.merge(&Marks::of(&spec, &files[0].bytes));
        for kind in [0, 2] {
            check(&spec, kind, &files, &[97, 4096], 0, 1);
        }
    }
    let wanted = [Mark::LongBelowLimit, Mark::LongAtLimit, Mark::LongAboveLimit];
    assert_eq!(marks.missing(&wanted), Vec::<Mark>::new());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any log, any question, any cuts of the reads, any parts on threads, any order of merges.
    #[test]
    fn any_split_gives_the_same_points(
        form in any::<prop::sample::Index>(),
        kind in 0u64..6,
        hosts in 1u64..4,
        lines in 1u64..400,
        seed in any::<u64>(),
        pieces in prop::collection::vec(prop_oneof![1usize..40, 1usize..5000], 1..6),
        beginning in prop_oneof![3 => Just(Beginning::Stamped), 1 => prop::sample::select(beginnings())],
        part_bytes in 300u64..20_000,
        order in any::<u64>(),
    ) {
        let specs = LogSpec::all_adversarial();
        let spec = &specs[form.index(specs.len())];
        let files = logs(spec, hosts, lines, seed);
        let mut question = question(spec, kind);
        question.beginning = beginning;
        check_question(spec, &question, &files, &pieces, part_bytes, order);
    }
}

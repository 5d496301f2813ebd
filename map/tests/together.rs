//! Monitors on one log, counted together, count what each counts alone: whatever their columns, conditions and groups,
//! however many records cannot be cut for one of them or for all, wherever batches and windows end.

use logline::fields::Rule;
use logline::order::Following;
use logline::records::{RecordReader, Stamps, Start};
use logline::text::{Encoding, Envelope, Form};
use map::engine::{Batch, Carried, Counter, Input, Labels, Sheets, Tally, Verdicts, WindowStarts};
use map::partial::Partial;
use map::plan::Plan;
use proptest::prelude::*;

const SECOND_NS: i64 = 1_000_000_000;

/// Lines begin with their second, in five digits; others continue a record.
struct Seconds;

impl Stamps for Seconds {
    fn read(&mut self, line: &[u8], _offset: u64) -> Option<i64> {
        let text = std::str::from_utf8(line.get(..5)?).ok()?;
        text.parse().ok().map(|second: i64| second * SECOND_NS)
    }
}

/// What is asked of each kind of log: groups of few values and many, labels, expressions, conditions of every way.
const QUESTIONS: [&str; 18] = [
    "select count() {} every 1m",
    "select count(), sum(x), max(x), min(x) {} group by op every 10s",
    "select p90(x), stddev(x), avg(x) {} group by op, result every 8s",
    "select distinct(id), first(id), last(id) {} group by result every 1m",
    "select count(x is not null) as with_x, count(op = 'pay') as paid, sum(x) {} group by host every 12s",
    "select count() {} where op = 'pay' group by id every 1m",
    "select sum(x) {} where x >= 5 group by op every 5s",
    "select sum(x) {} where 5 > x and not op in ('query', 'pay') every 1m",
    "select count(), max(x * 2 + 1) {} where id = '3' or x is null group by op, host every 20s",
    "select count() {} where line contains 'pay' every 1m",
    "select count() where line contains 'a|r' every 9s",
    "select count() where line contains 'x=1' and host = 'web' every 9s",
    "select lines(), bytes(), lines(op like 'p%') {} group by id every 1m",
    "select count() where host = 'nowhere' every 1m",
    "select count() every 3s",
    "select count(), sum(y) {} group by y every 1m",
    "select sum(x) {} where op = result group by op, result, id every 30s",
    "select count(), sum(x, result = 'bad') {} where op != 'query' and x < 9 group by op every 10s",
];

/// How a record's fields are written, with what cuts them; each may be broken.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Kv,
    Json,
    Split,
    Regex,
}

impl Kind {
    fn parse(self) -> &'static str {
        match self {
            Kind::Kv => "parse kv('|', '=')",
            Kind::Json => "parse json",
            Kind::Split => "parse split('|', 'stamp', 'op', 'result', 'id', 'x', 'y')",
            Kind::Regex => {
                r"parse regex('op=(?<op>\w+)(\|result=(?<result>\w+))?.*\|id=(?<id>\d+)\|x=(?<x>[^|]*)(\|y=(?<y>.*))?')"
            }
        }
    }
}

/// One record's parts: second, operation, result, number, value, what is wrong with it.
type Parts = (i64, u8, u8, u8, u8, u8);

fn line(kind: Kind, (second, op, result, id, x, odd): Parts) -> String {
    let op = ["pay", "query", "refund", "-", "a\\\"b"][usize::from(op % 5)];
    let result = ["ok", "bad", "pay", ""][usize::from(result % 4)];
    let x = match x {
        0..40 => format!("{x}"),
        40..50 => format!("-{x}.25"),
        50..55 => "text".to_owned(),
        55..60 => "-".to_owned(),
        _ => format!("{x}000000000000"),
    };
    let whole = match kind {
        Kind::Kv | Kind::Regex => format!("{second:05}|op={op}|result={result}|id={id}|x={x}|y=y{id}"),
        Kind::Json => format!(
            r#"{second:05} {{"op":"{op}","result":"{result}","deep":{{"a":[1,2]}},"id":"{id}","x":"{x}","y":"\u0079"}}"#
        ),
        Kind::Split => format!("{second:05}|{op}|{result}|{id}|{x}|y{id}"),
    };
    // The end is gone, or a part of the text, or it has a line more.
    match odd {
        0..4 => whole[..whole.len() - 3 * usize::from(odd) - 2].to_owned() + "\n",
        4 => format!("{second:05} nothing of it\n"),
        5 => whole + "\r\n",
        6 => whole + "\n and a line more|x=7\n",
        7 => format!("{second:05}\n"),
        8 => format!("{whole} {}\n", "long ".repeat(80)),
        _ => whole + "\n",
    }
}

fn input(rule: Option<Rule>, form: Form, lateness_s: i64) -> Input {
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Input {
        labels: Labels::new([label("host", "web"), label("file", "app.log")]),
        lateness_ns: lateness_s * SECOND_NS,
        rule,
        form,
        generation: 3,
    }
}

/// A monitor: its plan, its rule, and its bound.
struct Monitor {
    plan: Plan,
    rule: Option<Rule>,
    lateness_s: i64,
}

fn monitors(kind: Kind, chosen: &[(usize, usize, bool)]) -> Vec<Monitor> {
    let monitor = |(question, limit, is_slow): &(usize, usize, bool)| {
        let text = QUESTIONS[*question].replace("{}", kind.parse());
        let monitor = configs::parse_mql(&text).unwrap_or_else(|error| panic!("{text}\n{error}"));
        let mut plan = Plan::new(&monitor).unwrap_or_else(|error| panic!("{text}\n{error}"));
        plan.window_groups = *limit;
        Monitor {
            rule: monitor.parse.filter(|_| plan.uses_fields()),
            plan,
            lateness_s: if *is_slow { 100 } else { 3 },
        }
    };
    chosen.iter().map(monitor).collect()
}

fn reader() -> RecordReader<Seconds> {
    RecordReader::with_limit(Seconds, Start::FileStart, 0, 300)
}

/// Each by itself, all bytes at once.
fn alone(monitor: &Monitor, form: Form, bytes: &[u8], asked: &WindowStarts) -> Partial {
    let input = input(monitor.rule.clone(), form, monitor.lateness_s);
    let counter = Counter::new(&monitor.plan, input, None).expect("the rule has the fields");
    let mut counter = counter.asked(asked.clone());
    let mut reader = reader();
    reader.push(bytes);
    reader.finish();
    counter.take(&mut reader, Following::None, u64::MAX);
    counter.finish()
}

/// All together, in pieces.
fn together<'m>(monitors: &'m [Monitor], form: Form, bytes: &[u8], piece: usize, asked: &WindowStarts) -> Vec<Partial> {
    let mut sheets = Sheets::default();
    let begin = |monitor: &'m Monitor| {
        let Monitor { plan, rule, lateness_s } = monitor;
        let input = input(rule.clone(), form, *lateness_s);
        let seated = sheets.seat(plan, &input).expect("the rule has the fields");
        let mut tally = Tally::new(plan, input, seated, Carried::default());
        tally.ask(asked.clone());
        (tally, 0)
    };
    let mut tallies: Vec<(Tally<&Plan>, usize)> = monitors.iter().map(begin).collect();
    let mut reader = reader();
    let pieces = bytes.chunks(piece).map(Some).chain([None]);
    for piece in pieces {
        let following = match piece {
            Some(piece) => {
                reader.push(piece);
                Following::MayCome
            }
            None => {
                reader.finish();
                Following::None
            }
        };
        let judge = |((_, next), monitor): (&(Tally<&Plan>, usize), &Monitor)| {
            Verdicts::new(&reader, *next, monitor.lateness_s * SECOND_NS, following)
        };
        let verdicts: Vec<Verdicts> = tallies.iter().zip(monitors).map(judge).collect();
        for batch in Batch::all(&reader) {
            sheets.begin();
            for ((tally, _), verdicts) in tallies.iter_mut().zip(&verdicts) {
                if tally.place(&batch, batch.part(verdicts.closed()), verdicts) {
                    sheets.want(tally.seated());
                }
            }
            sheets.fill(&batch);
            tallies.iter_mut().for_each(|(tally, _)| tally.add(&batch, &sheets));
        }
        let mut least = usize::MAX;
        for ((_, next), verdicts) in tallies.iter_mut().zip(&verdicts) {
            *next = verdicts.closed().end;
            least = least.min(*next);
        }
        reader.release(least);
        tallies.iter_mut().for_each(|(_, next)| *next -= least);
    }
    let finish = |(tally, _): (Tally<&Plan>, usize)| {
        let (mut partial, carried, _) = tally.suspend();
        partial.unplaced = carried.waiting;
        partial
    };
    tallies.into_iter().map(finish).collect()
}

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(&[Kind::Kv, Kind::Json, Kind::Split, Kind::Regex][..])
}

fn form() -> impl Strategy<Value = Form> {
    let latin = Form {
        encoding: Encoding::parse("latin1").expect("it is one"),
        envelope: Envelope::None,
    };
    prop::sample::select(vec![Form::default(), Form::default(), Form::default(), latin])
}

/// Records by the second, some out of order by more or less than the bound, a few of another time altogether.
fn records() -> impl Strategy<Value = Vec<Parts>> {
    let step = prop_oneof![8 => 0..2_i64, 2 => -2..4_i64, 1 => -9..30_i64, 1 => Just(9000_i64), 1 => Just(-9000_i64)];
    let part = (step, 0..9_u8, 0..9_u8, 0..90_u8, 0..70_u8, 0..60_u8);
    prop::collection::vec(part, 1..900).prop_map(|mut parts| {
        let mut now = 20_000;
        for (step, ..) in &mut parts {
            let own = (now + *step).clamp(0, 99_999);
            if step.abs() < 100 {
                now = now.max(own);
            }
            *step = own;
        }
        parts
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn each_counts_what_it_counts_alone(
        kind in kind(),
        form in form(),
        records in records(),
        chosen in prop::collection::vec((0..QUESTIONS.len(), 1..80_usize, any::<bool>()), 1..9),
        piece in 1..40_000_usize,
        left_out in 0..200_i64,
    ) {
        let bytes: String = records.into_iter().map(|parts| line(kind, parts)).collect();
        let monitors = monitors(kind, &chosen);
        let mut asked = WindowStarts::all();
        asked.without = std::iter::once(20_010 * SECOND_NS..(20_010 + left_out) * SECOND_NS).collect();
        let together = together(&monitors, form, bytes.as_bytes(), piece, &asked);
        for ((monitor, chosen), partial) in monitors.iter().zip(&chosen).zip(together) {
            let alone = alone(monitor, form, bytes.as_bytes(), &asked);
            prop_assert!(partial == alone, "{}: {partial:#?} and alone {alone:#?}", QUESTIONS[chosen.0]);
        }
    }
}

/// What the property test is worth: its records are counted, selected, lost and odd.
#[test]
fn records_of_the_test_are_of_all_sorts() {
    let parts = |number: i64| {
        let byte = |of: i64| (number * of % 251) as u8;
        (
            20_000 + number / 9,
            byte(1) % 9,
            byte(7) % 9,
            byte(3) % 90,
            byte(11) % 70,
            byte(13) % 60,
        )
    };
    for kind in [Kind::Kv, Kind::Json, Kind::Split, Kind::Regex] {
        let bytes: String = (0..3000).map(|number| line(kind, parts(number))).collect();
        let chosen: Vec<_> = (0..QUESTIONS.len()).map(|question| (question, 1000, true)).collect();
        let monitors = monitors(kind, &chosen);
        let counted = together(&monitors, Form::default(), bytes.as_bytes(), 5000, &WindowStarts::all());
        let total = |of: fn(&map::partial::WindowPartial) -> u64, question: usize| -> u64 {
            counted[question].windows.values().map(of).sum()
        };
        assert!(total(|window| window.records, 1) > 2000, "{kind:?}");
        assert!(total(|window| window.lost.total(), 1) > 30, "{kind:?}");
        assert!(total(|window| window.groups.len() as u64, 5) > 40, "{kind:?}");
        assert!(total(|window| window.groups.len() as u64, 9) > 0, "{kind:?}");
        assert!(total(|window| window.bad_values.iter().sum(), 1) > 10, "{kind:?}");
        // Some that one monitor cannot read, another one can.
        let lost: std::collections::BTreeSet<u64> = (0..QUESTIONS.len())
            .map(|question| total(|window| window.lost.total(), question))
            .collect();
        assert!(lost.len() > 2, "{kind:?}: {lost:?}");
    }
}

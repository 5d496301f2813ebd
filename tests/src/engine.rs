//! The engine, asked what the oracle is asked: the same files through every strategy that must agree.

use crate::oracle::{
    Aggregate, Beginning, Col, Comparison, Condition, Function, HostFile, Literal, ParseForm, Question, StampForm,
};
use configs::monitor::Monitor;
use logline::boundary::RecordStamps;
use logline::order::Following;
use logline::records::{RecordReader, Start};
use logline::stamp::{
    Detection, FileStamps, Format, Locator, Profile, ProfileEntry, SAMPLE_BYTES, YearMark, Zone, learn,
};
use map::engine::{Counter, Input, Labels};
use map::partial::Partial;
use map::plan::Plan;
use map::verdict::HostState;
use reduce::completeness::Hosts;
use reduce::point::{Point, WindowState};
use reduce::publish::{Answer, Windows, publish};
use std::path::Path;
use sunfire::eval::file::FileJob;
use sunfire::eval::range::LogFile;
use sunfire::eval::source::Source;
use sunfire::eval::threads::{Parallelism, count_all};
use sunfire::progress::Progress;

/// The question as an MQL string.
pub fn mql(question: &Question) -> String {
    let outputs: Vec<String> = question.aggregates.iter().map(output).collect();
    let mut text = format!("select {} parse {}", outputs.join(", "), parse(&question.parse));
    // A plain text is a pattern of itself: it has no signs of its own.
    match &question.beginning {
        Beginning::Stamped => {}
        Beginning::With(word) => text += &format!(" records start '{word}'"),
        Beginning::Without(word) => text += &format!(" records continue '{word}'"),
    }
    if let Some(filter) = &question.filter {
        text += &format!(" where {}", condition(filter));
    }
    if !question.group_by.is_empty() {
        let columns: Vec<String> = question.group_by.iter().map(column).collect();
        text += &format!(" group by {}", columns.join(", "));
    }
    text += &format!(" every {}ms lateness {}ms", question.window_ms, question.lateness_ms);
    text + &format!(" limit {}", question.group_limit)
}

fn output(aggregate: &Aggregate) -> String {
    let (name, argument) = match &aggregate.function {
        Function::Count => ("count", None),
        Function::Lines => ("lines", None),
        Function::Bytes => ("bytes", None),
        Function::Sum(of) => ("sum", Some(column(of))),
        Function::Avg(of) => ("avg", Some(column(of))),
        Function::Min(of) => ("min", Some(column(of))),
        Function::Max(of) => ("max", Some(column(of))),
        Function::Stddev(of) => ("stddev", Some(column(of))),
        Function::Quantile(fraction, of) => ("quantile", Some(format!("{fraction}, {}", column(of)))),
        Function::Distinct(of) => ("distinct", Some(column(of))),
        Function::First(of) => ("first", Some(column(of))),
        Function::Last(of) => ("last", Some(column(of))),
    };
    let condition = aggregate.condition.as_ref().map(condition);
    let arguments: Vec<String> = argument.into_iter().chain(condition).collect();
    format!("{name}({}) as \"{}\"", arguments.join(", "), aggregate.name)
}

fn column(column: &Col) -> String {
    match column {
        Col::Field(name) => format!("field('{name}')"),
        Col::Host => "host".to_owned(),
        Col::File => "file".to_owned(),
    }
}

fn parse(form: &ParseForm) -> String {
    let text = |byte: &u8| format!("'{}'", *byte as char);
    match form {
        ParseForm::Kv { pair, assign } => format!("kv({}, {})", text(pair), text(assign)),
        ParseForm::Split { by, fields } => format!("split({}, {})", text(by), fields.join(", ")),
        ParseForm::Json => "json".to_owned(),
        ParseForm::Logfmt => "logfmt".to_owned(),
        ParseForm::NginxCombined => "nginx".to_owned(),
    }
}

fn condition(node: &Condition) -> String {
    let all = |nodes: &[Condition], word: &str| {
        let nodes: Vec<String> = nodes.iter().map(condition).collect();
        format!("({})", nodes.join(word))
    };
    match node {
        Condition::And(nodes) => all(nodes, " and "),
        Condition::Or(nodes) => all(nodes, " or "),
        Condition::Not(inner) => format!("not ({})", condition(inner)),
        Condition::Compare(of, comparison, value) => {
            let sign = match comparison {
                Comparison::Equal => "=",
                Comparison::NotEqual => "!=",
                Comparison::Less => "<",
                Comparison::LessOrEqual => "<=",
                Comparison::Greater => ">",
                Comparison::GreaterOrEqual => ">=",
            };
            format!("{} {sign} {}", column(of), literal(value))
        }
        Condition::In(of, values) => {
            let values: Vec<String> = values.iter().map(literal).collect();
            format!("{} in ({})", column(of), values.join(", "))
        }
        Condition::IsNull(of) => format!("{} is null", column(of)),
    }
}

fn literal(literal: &Literal) -> String {
    match literal {
        Literal::Text(text) => format!("'{}'", String::from_utf8_lossy(text).replace('\'', "''")),
        Literal::Number(number) => number.clone(),
    }
}

/// A question made ready.
pub struct Engine {
    monitor: Monitor,
    plan: Plan,
    record_limit_bytes: usize,
}

/// What the engine answers.
#[derive(Debug, PartialEq)]
pub struct Answered {
    /// The points.
    pub points: Vec<Point>,
    /// What they were made from.
    pub partial: Partial,
}

impl Engine {
    /// Compiles a question, by way of its MQL.
    pub fn new(question: &Question) -> Self {
        let text = mql(question);
        let monitor = configs::parse_mql(&text).unwrap_or_else(|error| panic!("{text}\n{error}"));
        let plan = Plan::new(&monitor).unwrap_or_else(|error| panic!("{text}\n{error}"));
        Self {
            monitor,
            plan,
            record_limit_bytes: question.record_limit_bytes,
        }
    }

    /// Counts each file as a stream, read in pieces of the sizes given, in turn; partials are merged as `order` says.
    pub fn stream(&self, files: &[HostFile], pieces: &[usize], order: u64) -> Answered {
        let partials = files.iter().map(|file| self.stream_one(file, pieces)).collect();
        self.answer(merge_in(partials, order), files.len())
    }

    fn stream_one(&self, file: &HostFile, pieces: &[usize]) -> Partial {
        let profile = profile(file);
        let stamps = FileStamps::new(&profile, &Zone::utc());
        let stamps = RecordStamps::new(stamps, self.monitor.records.as_ref());
        let mut reader = RecordReader::with_limit(stamps, Start::FileStart, 0, self.record_limit_bytes);
        let mut counter = Counter::new(&self.plan, self.input(file), None).expect("the rule has the fields");
        let mut rest = &file.bytes[..];
        for piece in pieces.iter().cycle() {
            let (now, later) = rest.split_at((*piece).min(rest.len()));
            reader.push(now);
            counter.take(&mut reader, Following::MayCome, u64::MAX);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        reader.finish();
        counter.take(&mut reader, Following::None, u64::MAX);
        counter.count_head(reader.head().lines);
        counter.finish()
    }

    /// Counts the files as `sunfire eval` does: from disk, on threads, each file cut into parts of about `part_bytes`.
    pub fn parts(&self, files: &[HostFile], threads: usize, part_bytes: u64) -> Answered {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let paths: Vec<_> = (0..files.len())
            .map(|index| folder.path().join(index.to_string()))
            .collect();
        let opened: Vec<_> = paths
            .iter()
            .zip(files)
            .map(|(path, file)| Source::Plain(write(path, &file.bytes)))
            .collect();
        let jobs: Vec<FileJob<'_>> = files
            .iter()
            .zip(paths.iter().zip(&opened))
            .map(|(file, (path, opened))| FileJob {
                log: LogFile {
                    path,
                    source: opened,
                    size: file.bytes.len() as u64,
                },
                profile: (!file.bytes.is_empty()).then(|| profile(file)),
                zone: Zone::utc(),
                records: self.monitor.records.as_ref(),
                form: logline::text::Form::default(),
                written_seconds: WRITTEN_SECONDS,
                plan: &self.plan,
                input: self.input(file),
            })
            .collect();
        let parallelism = Parallelism {
            threads,
            part_bytes: (part_bytes, part_bytes),
        };
        let counted = count_all(&jobs, parallelism, &Progress::new(0)).expect("the files can be read");
        let mut partial = Partial::default();
        counted.into_iter().for_each(|counted| partial.merge(counted.partial));
        self.answer(partial, files.len())
    }

    fn input(&self, file: &HostFile) -> Input {
        let labels = [("host", &file.host), ("path", &file.file), ("file", &file.file)];
        Input {
            labels: Labels::new(labels.map(|(name, value)| (name.to_owned(), value.clone()))),
            lateness_ns: i64::try_from(self.monitor.lateness_ms.expect("given") * 1_000_000).expect("fits"),
            rule: self.monitor.parse.clone(),
            form: logline::text::Form::default(),
            generation: 0,
        }
    }

    fn answer(&self, partial: Partial, hosts: usize) -> Answered {
        let mut all = Hosts::default();
        (0..hosts).for_each(|_| all.add(HostState::Ok));
        let answer = Answer {
            hosts: all,
            state: WindowState::Settled,
            ambiguous_ns: Vec::new(),
        };
        Answered {
            points: publish(&self.plan.shape(), &partial, &answer, Windows::Touched),
            partial,
        }
    }
}

/// When the generated files were written: at the end of 2026, for stamps without a year.
const WRITTEN_SECONDS: i64 = 1_798_761_599;

/// Files of fewer lines are too little to learn from where every fourth line is nasty: their format is told.
const LINES_TO_LEARN_FROM: usize = 100;

/// The profile of a file: learned, as `eval` learns it, where there is enough of it.
pub fn profile(file: &HostFile) -> Profile {
    let lines = file.bytes.split(|byte| *byte == b'\n').count();
    let mut profile = if lines < LINES_TO_LEARN_FROM {
        told(file.stamp)
    } else {
        learned(file)
    };
    for entry in profile.entries.iter_mut().filter(|entry| entry.format.lacks_year()) {
        entry.year_marks = vec![YearMark {
            offset: 0,
            anchor: WRITTEN_SECONDS - 86_400 * 60,
        }];
    }
    profile
}

fn learned(file: &HostFile) -> Profile {
    let mut sample = file.bytes[..file.bytes.len().min(SAMPLE_BYTES)].to_vec();
    if sample.len() == file.bytes.len() {
        sample.push(b'\n');
    }
    match learn(&sample) {
        Detection::Stamped(detected) => detected.profile,
        other => panic!(
            "{}: {other:?}\n{}",
            file.file,
            String::from_utf8_lossy(&sample[..sample.len().min(2000)])
        ),
    }
}

fn told(stamp: StampForm) -> Profile {
    let (pattern, locator) = match stamp {
        StampForm::Iso => ("%Y-%m-%d %H:%M:%S%?f%?z", Locator::Column(0)),
        StampForm::Clf => ("%d/%b/%Y:%H:%M:%S%?z", Locator::After(Box::new(*b"["))),
        StampForm::Syslog { .. } => ("%b %e %H:%M:%S", Locator::Column(0)),
        StampForm::EpochMillis => ("%s%3N", Locator::Column(0)),
    };
    Profile::from(ProfileEntry::new(
        Format::parse(pattern).expect("a format of the table"),
        locator,
    ))
}

fn write(path: &Path, bytes: &[u8]) -> std::fs::File {
    std::fs::write(path, bytes).expect("a temporary file can be written");
    std::fs::File::open(path).expect("and read")
}

/// Merges partials two by two, picked by `order`: every tree of merges comes up.
fn merge_in(mut partials: Vec<Partial>, order: u64) -> Partial {
    let mut numbers = crate::access_log::Numbers::new(order);
    while partials.len() > 1 {
        let first = partials.swap_remove(numbers.below(partials.len() as u64) as usize);
        let second = numbers.below(partials.len() as u64) as usize;
        partials[second].merge(first);
    }
    partials.pop().unwrap_or_default()
}

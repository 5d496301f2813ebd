//! A question asked of a store: which windows are read, within which bounds, and what is said of those that are not
//! there.

mod folding;

use super::answer::{AbsentValue, Answer, Head, QueryPoint};
use super::error::QueryError;
use super::evaluate::{Group, absent_value, points};
use super::explain::{self, Explanation};
use super::facts::Withheld;
use super::fill::{self, Filled};
use super::merge::{Content, Finished, Step};
use super::plan::{Absent, Plan, Question};
use super::range::{resolve, round_down, round_up};
use super::shaping::{self, Notes};
use super::source::{self, Joined};
use crate::points::Points;
use configs::Diagnostic;
use configs::query::{Fill, Part, Placed, Query, Shaping};
use map::plan::Shape;
use reduce::overflow::Overflow;
use reduce::point::{Flag, WindowState, rfc3339};
use reduce::stored::{SHAPE, StoredBody, StoredHeader, decode, shape};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use store::StoredWindow;

/// Most windows that one question reads: a day and more of windows of a second.
pub const WINDOWS_MAX: u64 = 100_000;
/// Most bytes of stored windows that one question reads: what is decoded in a few seconds.
pub const STORED_BYTES_MAX: u64 = 512 << 20;
/// Most points of one answer: more than any chart or table shows.
pub const POINTS_MAX: u64 = 200_000;
/// Most bytes of one answer, before compression.
pub const ANSWER_BYTES_MAX: u64 = 128 << 20;
/// About the most bytes that are read at a time, so that little is held, and a question that nobody waits for any more
/// ends soon.
const PAGE_BYTES: usize = 8 << 20;
/// Most windows that are read at a time.
const PAGE_WINDOWS_MAX: usize = 2_000;
/// Windows that are read first, when nobody knows yet how large they are.
const PAGE_WINDOWS_FIRST: usize = 16;
/// Most warnings of one answer; the rest would say the same.
const WARNINGS_MAX: usize = 20;
/// Most gaps that are named one by one.
const GAPS_NAMED_MAX: usize = 5;
/// How long after its end a window may have no header yet without being missed.
const HEADER_PATIENCE_NS: i64 = 10_000_000_000;

/// A question, and what its monitor means.
pub(super) struct Asked {
    text: String,
    query: Query,
    shapes: BTreeMap<u64, Shape>,
    newest: Option<u64>,
    now_ns: i64,
}

impl Asked {
    pub(super) fn new(
        text: &str,
        query: Query,
        shapes: BTreeMap<u64, Shape>,
        newest: Option<u64>,
        now_ns: i64,
    ) -> Self {
        Self {
            text: text.to_owned(),
            query,
            shapes,
            newest,
            now_ns,
        }
    }

    /// Answers it from all of its windows, in order. It has one source.
    pub(super) fn answer_of(&self, windows: Vec<StoredWindow>) -> Result<Answer, QueryError> {
        let mut joined = Joined::new(&self.query);
        if let Some(part) = self.query.parts.first() {
            let mut evaluation = Evaluation::new(self, part, Spent::default())?;
            evaluation.has_older = true;
            evaluation.take_all(windows)?;
            joined.add(part, evaluation.finish()?.0);
        }
        joined.finish()
    }

    /// Starts of the windows that its first source reads.
    pub(super) fn windows(&self) -> Result<Range<i64>, QueryError> {
        match self.query.parts.first() {
            Some(part) => Ok(Evaluation::new(self, part, Spent::default())?.windows),
            None => Err(QueryError::Unreadable("the question has no source".to_owned())),
        }
    }

    fn answer_without_windows(&self) -> Result<Answer, QueryError> {
        let mut joined = Joined::new(&self.query);
        for part in &self.query.parts {
            let answer = Evaluation::new(self, part, Spent::default())?.finish_without_windows();
            joined.add(part, answer);
        }
        joined.finish()
    }

    pub(super) fn explain(&self) -> Result<Explanation, QueryError> {
        let parts = self.query.parts.iter();
        let evaluations: Vec<Evaluation> = parts
            .map(|part| Evaluation::new(self, part, Spent::default()))
            .collect::<Result<_, _>>()?;
        let ranges: Vec<Range<i64>> = evaluations.iter().map(|part| part.windows.clone()).collect();
        match evaluations.first() {
            Some(first) => Ok(explain::explain(&self.query, &first.main, self.shapes.len(), &ranges)),
            None => Err(QueryError::Unreadable("the question has no source".to_owned())),
        }
    }
}

/// What the sources of a question have used of its bounds, and what the first has chosen.
#[derive(Default)]
struct Spent {
    windows: u64,
    bytes: u64,
    rows: u64,
    /// Points of sources that were filled.
    filled: u64,
    /// The groups that are kept.
    kept: Option<BTreeSet<Group>>,
}

async fn asked(store: &dyn Points, text: &str, now_ns: i64) -> Result<(Asked, Newest), QueryError> {
    let query = configs::parse_query(text).map_err(|error| QueryError::Text(Box::new(error)))?;
    let (shapes, newest) = shapes(store, text, &query).await?;
    Ok((Asked::new(text, query, shapes, newest.version, now_ns), newest))
}

/// Answers a question at `now_ns`.
///
/// # Errors
/// If the question cannot be answered at all; what is only incomplete is said on the answer.
pub async fn run(store: &dyn Points, text: &str, now_ns: i64) -> Result<Answer, QueryError> {
    let (asked, newest) = asked(store, text, now_ns).await?;
    if newest.is_without_windows {
        return asked.answer_without_windows();
    }
    let mut joined = Joined::new(&asked.query);
    let mut spent = Spent::default();
    for part in &asked.query.parts {
        let (answer, more) = read(store, Evaluation::new(&asked, part, spent)?).await?;
        joined.add(part, answer);
        spent = more;
    }
    joined.finish()
}

/// Says what a question means, without answering it.
///
/// # Errors
/// As [`run`].
pub async fn explain(store: &dyn Points, text: &str, now_ns: i64) -> Result<Explanation, QueryError> {
    asked(store, text, now_ns).await?.0.explain()
}

/// Reads the windows of one source.
async fn read(store: &dyn Points, mut evaluation: Evaluation) -> Result<(Answer, Spent), QueryError> {
    let name = evaluation.query.source.value.clone();
    let older = store.windows(&name, i64::MIN..evaluation.windows.start, 1).await?;
    evaluation.has_older = !older.is_empty();
    let mut next_ns = evaluation.windows.start;
    let mut most = PAGE_WINDOWS_FIRST;
    loop {
        let range = next_ns..evaluation.windows.end;
        if range.is_empty() {
            break;
        }
        let page = store.windows(&name, range, most).await?;
        let Some(last) = page.last() else { break };
        next_ns = last.window_ns.saturating_add(1);
        most = windows_of_a_page(&page);
        let work = tokio::task::spawn_blocking(move || {
            let taken = evaluation.take_all(page);
            (evaluation, taken)
        });
        let (back, taken) = work.await.map_err(|error| QueryError::Unreadable(error.to_string()))?;
        evaluation = back;
        taken?;
    }
    let work = tokio::task::spawn_blocking(move || evaluation.finish());
    work.await.map_err(|error| QueryError::Unreadable(error.to_string()))?
}

/// Answers a question about a monitor of which nothing is stored yet.
///
/// # Errors
/// As [`run`]: a question that its points could never answer is refused before there are any.
pub fn without_windows(text: &str, shape: Shape, now_ns: i64) -> Result<Answer, QueryError> {
    asked_of_one(text, shape, now_ns)?.answer_without_windows()
}

/// Says what a question means about a monitor of which nothing is stored yet.
///
/// # Errors
/// As [`run`].
pub fn explain_without_windows(text: &str, shape: Shape, now_ns: i64) -> Result<Explanation, QueryError> {
    asked_of_one(text, shape, now_ns)?.explain()
}

fn asked_of_one(text: &str, shape: Shape, now_ns: i64) -> Result<Asked, QueryError> {
    let query = configs::parse_query(text).map_err(|error| QueryError::Text(Box::new(error)))?;
    // The version is of no weight: there is but one.
    Ok(Asked::new(text, query, BTreeMap::from([(0, shape)]), Some(0), now_ns))
}

/// How many windows to read next, if they are as large as these.
fn windows_of_a_page(page: &[StoredWindow]) -> usize {
    let bytes: usize = page.iter().map(|window| window.header.len() + window.body.len()).sum();
    (PAGE_BYTES * page.len() / bytes.max(1)).clamp(1, PAGE_WINDOWS_MAX)
}

/// What the newest window of a monitor says.
struct Newest {
    /// Its version of the monitor; the newest version that is known where there is no window.
    version: Option<u64>,
    /// Whether no window is stored at all.
    is_without_windows: bool,
}

/// The meanings of the monitor's versions, and its newest window.
async fn shapes(store: &dyn Points, text: &str, query: &Query) -> Result<(BTreeMap<u64, Shape>, Newest), QueryError> {
    let name = &query.source.value;
    let documents = store.documents(SHAPE, name).await?;
    let mut newest = Newest {
        version: documents.last().map(|document| document.version),
        is_without_windows: true,
    };
    let mut shapes = BTreeMap::new();
    for document in documents {
        let shape = shape(&document.content).map_err(|error| QueryError::Unreadable(error.to_string()))?;
        shapes.insert(document.version, shape);
    }
    if shapes.is_empty() {
        let known = store.monitors().await?;
        let hint = match configs::nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "nothing is stored yet".to_owned(),
            None => format!("monitors with points are: {}", known.join(", ")),
        };
        let message = format!("there is no monitor `{name}` with stored points");
        let diagnostic = Diagnostic::of_query(text, query.source.span.clone(), message, Some(hint));
        return Err(QueryError::UnknownMonitor(Box::new(diagnostic)));
    }
    if let Some(window) = store.newest(name, 1).await?.first() {
        let header: StoredHeader = decode("header", &window.header).map_err(unreadable)?;
        newest = Newest {
            version: Some(header.monitor_version),
            is_without_windows: false,
        };
    }
    Ok((shapes, newest))
}

fn unreadable(error: reduce::stored::Unreadable) -> QueryError {
    QueryError::Unreadable(error.to_string())
}

/// What is known of a version of the monitor for a question.
type Compiled = Result<Arc<Plan>, Withheld>;

/// A question while its windows are read.
struct Evaluation {
    text: String,
    query: Query,
    shapes: BTreeMap<u64, Shape>,
    star: Vec<String>,
    plans: BTreeMap<u64, Compiled>,
    /// The plan of the newest version that can answer.
    main: Arc<Plan>,
    names: Vec<Arc<str>>,
    monitor: Arc<str>,
    range: Range<i64>,
    /// Starts of the windows that are read.
    windows: Range<i64>,
    /// How long before where they are shown.
    offset_ms: u64,
    now_ns: i64,
    step: Option<Step>,
    /// Steps that wait for the limit to be known.
    finished: Vec<Finished>,
    points: Vec<QueryPoint>,
    spent: Spent,
    /// Whether a window was taken in.
    has_read: bool,
    gaps: Gaps,
    next_window_ns: i64,
    /// Whether windows are stored that start before those that are read.
    has_older: bool,
    has_open_hole: bool,
    /// The greatest overflow of a step in whose values it shows.
    overflow: Option<Box<Overflow>>,
    warnings: Vec<String>,
}

/// Stretches of time of which nothing is stored.
#[derive(Default)]
struct Gaps {
    count: u64,
    windows: u64,
    named: Vec<String>,
}

impl Gaps {
    fn add(&mut self, from_ns: i64, to_ns: i64, window_ns: i64) {
        if to_ns <= from_ns {
            return;
        }
        self.count += 1;
        self.windows += ((to_ns - from_ns) / window_ns) as u64;
        if self.named.len() < GAPS_NAMED_MAX {
            self.named.push(format!("{} to {}", rfc3339(from_ns), rfc3339(to_ns)));
        }
    }

    fn warning(&self) -> Option<String> {
        let more = self.count - self.named.len() as u64;
        let more = if more > 0 {
            format!(" and {more} more stretches")
        } else {
            String::new()
        };
        let (windows, named) = (self.windows, self.named.join(", "));
        (self.count > 0).then(|| format!("{windows} windows are not stored, and are gaps, not zeros: {named}{more}"))
    }
}

impl Evaluation {
    fn new(asked: &Asked, part: &Part, spent: Spent) -> Result<Self, QueryError> {
        let Asked {
            text,
            query,
            shapes,
            newest,
            now_ns,
        } = asked;
        let range = resolve(&query.range, *now_ns).map_err(|message| {
            let span = 0..text.len();
            QueryError::Text(Box::new(Diagnostic::of_query(text, span, message, None)))
        })?;
        let (version, star, main) = main_plan(text, query, shapes, *newest)?;
        let main = Arc::new(main);
        source::check(text, query, part, &main)?;
        let before = |ns: i64| round_up(ns, main.step_ns).saturating_sub_unsigned(part.offset_ms * 1_000_000);
        let windows = before(range.start)..before(range.end);
        let count = (windows.end.saturating_sub(windows.start) / main.window_ns.max(1)) as u64;
        if count > WINDOWS_MAX {
            return Err(too_much("windows", WINDOWS_MAX));
        }
        Ok(Self {
            text: text.clone(),
            monitor: query.source.value.as_str().into(),
            names: main.outputs.iter().map(|(name, _)| Arc::clone(name)).collect(),
            plans: BTreeMap::from([(version, Ok(Arc::clone(&main)))]),
            next_window_ns: windows.start,
            query: query.clone(),
            shapes: shapes.clone(),
            star,
            main,
            range,
            windows,
            offset_ms: part.offset_ms,
            now_ns: *now_ns,
            step: None,
            finished: Vec::new(),
            points: Vec::new(),
            spent,
            has_read: false,
            gaps: Gaps::default(),
            has_older: false,
            has_open_hole: false,
            overflow: None,
            warnings: Vec::new(),
        })
    }

    fn warn(&mut self, warning: String) {
        if self.warnings.len() < WARNINGS_MAX && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    fn take_all(&mut self, page: Vec<StoredWindow>) -> Result<(), QueryError> {
        for window in page {
            self.spent.windows += 1;
            self.spent.bytes += (window.header.len() + window.body.len()) as u64;
            if self.spent.windows > WINDOWS_MAX {
                return Err(too_much("windows", WINDOWS_MAX));
            }
            if self.spent.bytes > STORED_BYTES_MAX {
                return Err(too_much("bytes of stored windows", STORED_BYTES_MAX));
            }
            self.take(window)?;
        }
        Ok(())
    }

    fn take(&mut self, window: StoredWindow) -> Result<(), QueryError> {
        let header: StoredHeader = decode("header", &window.header).map_err(unreadable)?;
        let length_ns = window.length_ns.max(1);
        if !std::mem::replace(&mut self.has_read, true) && !self.has_older {
            self.warn_of_beginning(window.window_ns);
        } else {
            self.gaps.add(self.next_window_ns, window.window_ns, length_ns);
        }
        self.next_window_ns = self.next_window_ns.max(window.window_ns.saturating_add(length_ns));
        let step_ns = match &self.query.every_ms {
            Some(_) => self.main.step_ns,
            None => length_ns,
        };
        let start_ns = round_down(window.window_ns, step_ns);
        if self.step.as_ref().is_some_and(|step| step.start_ns != start_ns) {
            self.finish_step()?;
        }
        let content = self.content(&header, &window);
        let step = self.step.get_or_insert_with(|| Step::new(start_ns, step_ns, length_ns));
        step.take(&header, window.fence.revision, content);
        if step.groups() as u64 > POINTS_MAX {
            return Err(too_much("groups", POINTS_MAX));
        }
        Ok(())
    }

    /// Before its first window a monitor has no values that could be missing from an answer; that is said all the same.
    fn warn_of_beginning(&mut self, first_ns: i64) {
        if first_ns > self.next_window_ns {
            let first = rfc3339(first_ns);
            let why = "it began then, or older ones were removed by age";
            self.warn(format!(
                "there are no windows of `{}` before {first}: {why}; they are gaps, not zeros",
                self.monitor
            ));
        }
    }

    fn content(&mut self, header: &StoredHeader, window: &StoredWindow) -> Content {
        if header.flags.contains(&Flag::Poisoned) {
            return Content::Withheld(Withheld::Poisoned);
        }
        let plan = match self.plan(header.monitor_version) {
            Ok(plan) => plan,
            Err(why) => return Content::Withheld(why),
        };
        let partial = decode::<StoredBody>("body", &window.body)
            .map_err(|error| error.to_string())
            .and_then(|body| {
                let partial = body.partial.into_partial(&plan.kinds, usize::MAX);
                partial.map_err(|error| error.to_string())
            });
        match partial {
            Ok(partial) => Content::Values(plan, Box::new(partial)),
            Err(why) => {
                self.warn(format!(
                    "the window {} cannot be read: {why}",
                    rfc3339(window.window_ns)
                ));
                Content::Withheld(Withheld::Unreadable)
            }
        }
    }

    /// The question compiled for a version.
    fn plan(&mut self, version: u64) -> Compiled {
        if let Some(known) = self.plans.get(&version) {
            return known.clone();
        }
        let question = Question {
            text: &self.text,
            query: &self.query,
            star: &self.star,
        };
        let (plan, warnings) = match self.shapes.get(&version) {
            None => {
                let warning = format!("the store does not say what version {version:016x} of the monitor means");
                (Err(Withheld::Unreadable), vec![warning])
            }
            Some(shape) => match question.plan(shape, Absent::Null) {
                Ok((plan, nulls)) => (Ok(Arc::new(plan)), nulls),
                Err(error) => (Err(Withheld::OtherVersion), vec![error.to_string()]),
            },
        };
        for warning in warnings {
            self.warn(format!(
                "another version of the monitor is in force in part of the range, and is a gap: {warning}"
            ));
        }
        self.plans.insert(version, plan.clone());
        plan
    }

    fn finish_step(&mut self) -> Result<(), QueryError> {
        let Some(mut step) = self.step.take() else {
            return Ok(());
        };
        self.add_absent(&mut step);
        let finished = step.finish();
        self.note_folding(&finished);
        self.spent.rows += finished.rows.len().max(1) as u64;
        if self.spent.rows > POINTS_MAX {
            return Err(too_much("points", POINTS_MAX));
        }
        match self.query.shaping == Shaping::default() {
            true => self.show(&finished),
            false => self.finished.push(finished),
        }
        Ok(())
    }

    /// Windows of the step that nobody stored are not complete; those that are not over yet are open.
    fn add_absent(&mut self, step: &mut Step) {
        let window_ns = step.window_ns;
        let expected = (step.length_ns / window_ns) as u64;
        let absent = expected.saturating_sub(step.facts.windows);
        let due_until_ns = self
            .now_ns
            .saturating_sub(HEADER_PATIENCE_NS)
            .clamp(step.start_ns, step.start_ns + step.length_ns);
        let due = ((due_until_ns - step.start_ns) / window_ns) as u64;
        let not_stored = due.saturating_sub(step.facts.windows).min(absent);
        self.has_open_hole |= not_stored > 0;
        step.facts.add_absent(not_stored, Withheld::NotStored);
        step.facts.add_absent(absent - not_stored, Withheld::Open);
    }

    fn head(&self, step: &Finished) -> Arc<Head> {
        let is_merged = self.query.every_ms.is_some();
        Arc::new(Head::new(step, Arc::clone(&self.monitor), is_merged, self.offset_ms))
    }

    fn show(&mut self, step: &Finished) {
        let head = self.head(step);
        self.points.extend(points(step, &head, &self.names));
    }

    /// Makes of the steps what the question wants made of them, and shows them.
    fn shape(&mut self) -> Result<(), QueryError> {
        let mut steps = std::mem::take(&mut self.finished);
        let wanted = self.query.shaping.clone();
        let mut notes = Notes::default();
        notes.count_steps(&steps, self.now_ns.saturating_sub(HEADER_PATIENCE_NS));
        if wanted.having.is_some() {
            steps.iter_mut().for_each(|step| shaping::hide(step, &mut notes));
        }
        if let Some(limit) = wanted.limit {
            // What the first source has chosen holds for all, so that their lines belong together.
            let kept = self.spent.kept.take();
            let kept = kept.or_else(|| shaping::choose(&steps, &self.main, limit, &mut notes));
            if let Some(kept) = &kept {
                steps.iter_mut().for_each(|step| shaping::fold_beyond(step, kept));
            }
            self.spent.kept = kept;
        }
        steps.iter_mut().for_each(shaping::sort);
        for warning in notes.warnings(wanted.having.is_some(), wanted.limit) {
            self.warn(warning);
        }
        match &wanted.fill {
            Some(fill) => self.fill(steps, fill),
            None => {
                steps.iter().for_each(|step| self.show(step));
                Ok(())
            }
        }
    }

    fn fill(&mut self, steps: Vec<Finished>, wanted: &Placed<Fill>) -> Result<(), QueryError> {
        if steps.iter().any(|step| step.length_ns != self.main.step_ns) {
            let message = "the monitor's windows had another length in part of the range";
            let hint = Some("say how long steps are: every 1m".to_owned());
            let diagnostic = Diagnostic::of_query(&self.text, wanted.span.clone(), message, hint);
            return Err(QueryError::Unfit(Box::new(diagnostic)));
        }
        let due_ns = self.now_ns.saturating_sub(HEADER_PATIENCE_NS);
        let steps = fill::whole(steps, &self.main, self.windows.clone(), due_ns);
        let filled = Filled {
            fill: wanted.value,
            main: &self.main,
            names: &self.names,
            points_max: POINTS_MAX.saturating_sub(self.spent.filled),
        };
        self.points = filled.points(&steps, |step| self.head(step))?;
        self.spent.filled += self.points.len() as u64;
        Ok(())
    }

    /// An answer without points: nothing is known yet, so nothing is complete.
    fn finish_without_windows(mut self) -> Answer {
        self.warnings = vec![format!("no window of `{}` is stored yet", self.monitor)];
        self.answer(true).0
    }

    /// What an absent group is: a zero only if it is one in every version that has points in the answer, and if none is
    /// hidden.
    fn absent(&self) -> Vec<(Arc<str>, AbsentValue)> {
        let may_hide = self.query.shaping.having.is_some();
        let plans = || self.plans.values().flatten();
        let names = self.names.iter().enumerate();
        names
            .map(|(output, name)| {
                let is_zero = |plan: &Arc<Plan>| absent_value(plan, &plan.outputs[output].1) == AbsentValue::Zero;
                let value = match plans().all(is_zero) && !may_hide {
                    true => AbsentValue::Zero,
                    false => AbsentValue::Null,
                };
                (Arc::clone(name), value)
            })
            .collect()
    }

    fn finish(mut self) -> Result<(Answer, Spent), QueryError> {
        self.finish_step()?;
        if self.query.shaping != Shaping::default() {
            self.shape()?;
        }
        let due_ns = self.now_ns.saturating_sub(HEADER_PATIENCE_NS);
        let end_ns = round_down(due_ns, self.main.window_ns.max(1)).min(self.windows.end);
        self.gaps.add(self.next_window_ns, end_ns, self.main.window_ns.max(1));
        if let Some(warning) = self.gaps.warning() {
            self.warnings.insert(0, warning);
        }
        self.warn_of_overflow();
        if self.windows.is_empty() {
            let warning = "no step begins within the range: ask for a longer range or a shorter `every`";
            self.warnings.push(warning.to_owned());
        }
        let is_incomplete = |point: &QueryPoint| {
            point.completeness().state() != WindowState::Open && !point.completeness().is_complete()
        };
        let is_partial = self.gaps.count > 0 || self.has_open_hole || self.points.iter().any(is_incomplete);
        Ok(self.answer(is_partial))
    }

    fn answer(self, is_partial: bool) -> (Answer, Spent) {
        let answer = Answer {
            absent: self.absent(),
            is_partial,
            points: self.points,
            monitor: self.query.source.value,
            window_ms: (self.main.step_ns / 1_000_000) as u64,
            group_by: self.main.grouping.iter().map(|(name, _)| name.to_string()).collect(),
            outputs: self.names.iter().map(|name| name.to_string()).collect(),
            from_ns: self.range.start,
            to_ns: self.range.end,
            warnings: self.warnings,
        };
        (answer, self.spent)
    }
}

fn too_much(what: &'static str, most: u64) -> QueryError {
    QueryError::TooMuch { what, most }
}

/// The question compiled for the newest version of the monitor that has all it asks for, and what `*` means then.
fn main_plan(
    text: &str,
    query: &Query,
    shapes: &BTreeMap<u64, Shape>,
    newest: Option<u64>,
) -> Result<(u64, Vec<String>, Plan), QueryError> {
    let newest_first = newest
        .into_iter()
        .chain(shapes.keys().copied().filter(|version| Some(*version) != newest));
    let mut refusal = None;
    for version in newest_first {
        let Some(shape) = shapes.get(&version) else { continue };
        let star: Vec<String> = shape.outputs.iter().map(|output| output.name.clone()).collect();
        let question = Question {
            text,
            query,
            star: &star,
        };
        match question.plan(shape, Absent::Refused) {
            Ok((plan, _)) => return Ok((version, star, plan)),
            Err(error) => {
                refusal.get_or_insert(error);
            }
        }
    }
    Err(refusal.unwrap_or_else(|| QueryError::Unreadable("the store does not say what the monitor means".to_owned())))
}

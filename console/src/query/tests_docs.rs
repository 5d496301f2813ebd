//! The examples of `docs/mql.md` mean what they say: each is answered, or refused with the words that stand there.

use super::tests_world::{SECOND_NS, Window, World};
use super::{LogsAsked, QueryError, run};
use configs::query::Question;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/mql.md");
const NOW_S: i64 = 1_795_850_000;

/// The monitor whose records the document asks for.
const SUNFIRE_HTTP: &str = "kind: monitor
name: sunfire_http
app: sunfire
log: /var/log/sunfire/access.log
parse: logfmt
group_by: [{ field('path'): path }, status, host]
select: { requests: count() }
window: 1s
";

/// The monitors that the document speaks of, with a window each.
fn world() -> World {
    let http = "select count() as requests, count(status >= 500) as errors, p99(ms) as p99_ms, avg(ms) as avg_ms, \
                distinct(user) as users parse logfmt group by field('path'), status, host every 1s";
    let system = "select avg(cpu) as \"cpu.util\", max(load1) as \"load.load1\" parse logfmt group by host, app, zone, \
                  mount every 5s";
    let monitors = [
        ("sunfire_http", http),
        ("system", system),
        ("spring", "select count() as n parse logfmt group by class, method, ip"),
        ("sunfire.1005_SM_13", "select count() as n parse logfmt"),
        ("trade-center", "select count() as total, rate() as per_s parse logfmt"),
    ];
    let mut world = World::default();
    for (name, mql) in monitors {
        world.monitor(name, 1, mql);
        world.store(&Window {
            monitor: name,
            start_s: (NOW_S - 600) / 60 * 60,
            lines: &["path=/a status=200 ms=3 cpu=5 load1=1 class=classA"],
            ..Window::default()
        });
    }
    world
}

/// Blocks between fences with this word behind the opening one.
fn blocks<'a>(document: &'a str, word: &str) -> Vec<&'a str> {
    let fence = format!("```{word}\n");
    let after = document.split(fence.as_str()).skip(1);
    after.filter_map(|rest| rest.split("\n```").next()).collect()
}

fn answer(world: &World, text: &str) -> Result<(), QueryError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(run(world, text, NOW_S * SECOND_NS)).map(drop)
}

#[test]
fn the_examples_are_answered() {
    let document = std::fs::read_to_string(DOCUMENT).expect("the document");
    let world = world();
    let (mut stored, mut raw) = (0, 0);
    for text in blocks(&document, "mql") {
        match configs::parse_question(text).unwrap_or_else(|error| panic!("{error}")) {
            Question::Raw(_) => raw += 1,
            Question::Records(query) => {
                raw += 1;
                let document = SUNFIRE_HTTP.to_owned();
                let asked = LogsAsked::records_of(text, &query, document, NOW_S * SECOND_NS);
                asked.unwrap_or_else(|error| panic!("{text}: {error}"));
            }
            Question::Stored(_) => {
                stored += 1;
                answer(&world, text).unwrap_or_else(|error| panic!("{text}: {error}"));
            }
        }
    }
    assert!(
        stored >= 10 && raw >= 2,
        "{stored} and {raw} examples: are the fences as they were?"
    );
}

/// What is read for a question to logs costs a host's Map something: `explain` says how much, about.
#[test]
fn a_question_to_logs_explains_what_it_costs() {
    let costs = |select: &str| {
        let text = format!("select {select} from log '/x.log' parse json where app = 'a' since 30m");
        let Ok(Question::Raw(raw)) = configs::parse_question(&text) else {
            panic!("{text}: a question to logs")
        };
        let asked = LogsAsked::new(&text, *raw, NOW_S * SECOND_NS).unwrap_or_else(|error| panic!("{error}"));
        let plan = asked.explain().unwrap_or_else(|error| panic!("{error}")).plan;
        let cost = plan.last().filter(|line| line.name == "cost").expect("the last line");
        cost.text.clone()
    };
    let dear = costs("p99(x), distinct(y)");
    assert!(
        dear.starts_with("estimated: ") && dear.ends_with(" ms of CPU per MB of log that is read"),
        "{dear}"
    );
    assert_ne!(dear, costs("sum(x)"));
}

#[test]
fn the_mistakes_are_told_as_the_document_says() {
    let document = std::fs::read_to_string(DOCUMENT).expect("the document");
    let world = world();
    let mistakes = blocks(&document, "mql-mistake");
    assert!(mistakes.len() >= 4);
    for block in mistakes {
        let (text, said) = block.split_once('\n').expect("a question and what is said of it");
        let error = answer(&world, text).expect_err(text);
        let hint = error
            .diagnostic()
            .and_then(|diagnostic| diagnostic.hint.clone())
            .unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines, [error.to_string().as_str(), hint.as_str()], "{text}");
    }
}

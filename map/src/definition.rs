//! What a task says is to be counted, as a monitor and its plan: the one place where a Map reads what users wrote.

use crate::plan::Plan;
use crate::protocol::{DEFINITION_BYTES_MAX, Definition, RecordsWanted};
use crate::system;
use configs::Document;
use configs::monitor::Monitor;
use configs::query::RECORDS_MAX;
use logline::fields::Extractor;
use std::sync::Arc;

/// The monitor of a definition.
///
/// # Errors
/// What is wrong with it, for people: it is longer than [`DEFINITION_BYTES_MAX`], does not parse, or is not one
/// monitor.
pub fn definition(definition: &Definition) -> Result<Monitor, String> {
    let text = match definition {
        Definition::System => return Ok(system::monitor()),
        Definition::Yaml(text) => text,
    };
    if text.len() > DEFINITION_BYTES_MAX {
        return Err(format!(
            "the definition has {} bytes, at most {DEFINITION_BYTES_MAX} are allowed: shorten it",
            text.len()
        ));
    }
    let mut documents = configs::load_str("the definition", text).map_err(|mistakes| {
        let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        mistakes.join("\n")
    })?;
    match (documents.pop(), documents.len()) {
        (Some(Document::Monitor(monitor)), 0) => Ok(monitor),
        (Some(other), 0) => Err(format!("the definition is of kind `{}`: send a monitor", other.kind())),
        (None, _) => Err("the definition is empty: send one monitor".to_owned()),
        (Some(_), more) => Err(format!(
            "the definition has {} documents: send one monitor at a time",
            more + 1
        )),
    }
}

/// The monitor and the plan of a question for records: which of the definition's records are wanted.
///
/// # Errors
/// What is wrong with it, for people.
pub fn of_records(monitor: Monitor, wanted: &RecordsWanted) -> Result<(Monitor, Plan), String> {
    if usize::from(wanted.keep.limit) > RECORDS_MAX {
        let limit = wanted.keep.limit;
        return Err(format!("{limit} records are wanted, at most {RECORDS_MAX} are allowed"));
    }
    if wanted.window_ms == 0 {
        return Err("the windows of the question have no length".to_owned());
    }
    let condition = wanted.condition.as_deref().map(configs::parse_condition).transpose();
    let condition = condition.map_err(|mistake| mistake.to_string())?;
    let monitor = monitor.of_records(condition.as_ref(), wanted.window_ms);
    let plan = Plan::new(&monitor).map_err(|error| error.to_string())?;
    Ok((monitor, plan.keeping(wanted.keep, wanted.from_ns..wanted.to_ns)))
}

/// A monitor that can be counted.
#[derive(Debug, Clone)]
pub(crate) struct Compiled {
    pub(crate) monitor: Arc<Monitor>,
    pub(crate) plan: Arc<Plan>,
}

/// Reads and compiles a definition. Cost: up to some milliseconds, for regular expressions.
pub(crate) fn compile(wanted: &Definition) -> Result<Compiled, String> {
    let monitor = counted(wanted)?;
    let plan = Plan::new(&monitor).map_err(|error| error.to_string())?;
    compiled(monitor, plan)
}

/// The same of a question, which may want records.
pub(crate) fn compile_question(wanted: &Definition, records: Option<&RecordsWanted>) -> Result<Compiled, String> {
    let Some(records) = records else {
        return compile(wanted);
    };
    let (monitor, plan) = of_records(counted(wanted)?, records)?;
    compiled(monitor, plan)
}

fn counted(wanted: &Definition) -> Result<Monitor, String> {
    let monitor = definition(wanted)?;
    match *wanted != Definition::System && monitor.log.is_none() {
        true => Err(format!("the monitor `{}` names no log: add `log:`", monitor.name)),
        false => Ok(monitor),
    }
}

fn compiled(monitor: Monitor, plan: Plan) -> Result<Compiled, String> {
    if let (Some(rule), true) = (&monitor.parse, plan.uses_fields()) {
        // A rule that cannot give a field is told now, not at the first record.
        Extractor::new(rule, &plan.fields).map_err(|error| error.to_string())?;
    }
    Ok(Compiled {
        monitor: Arc::new(monitor),
        plan: Arc::new(plan),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAY: &str = "kind: monitor\nname: pay\napp: shop\nlog: /logs/pay.log\nselect: { total: count() }\n";

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let compiled = compile(&Definition::Yaml(text.to_owned()));
        match (compiled, expected) {
            (Ok(compiled), Ok(name)) => assert_eq!(compiled.monitor.name, name),
            (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
            (found, expected) => panic!("{text}: {found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn one_monitor_that_can_be_counted_is_one() {
        check(PAY, Ok("pay"));
        check("", Err("empty"));
        check(&format!("{PAY}---\n{PAY}").replace("name: pay", "name: other"), Err(""));
        check("kind: app\nname: shop\nhosts: []\n", Err("kind `app`"));
        check(&PAY.replace("log:", "lgo:"), Err("lgo"));
        check(&PAY.replace("count()", "count("), Err("the definition:"));
        check(
            &PAY.replace(
                "select:",
                "parse: { split: { by: '|', fields: [a] } }\ngroup_by: [b]\nselect:",
            ),
            Err("b"),
        );
        check(
            &format!("{PAY}# {}", "x".repeat(DEFINITION_BYTES_MAX)),
            Err("shorten it"),
        );
    }

    #[test]
    fn a_question_for_records_is_one_that_can_be_answered() {
        let wanted = |limit, window_ms, condition: &str| RecordsWanted {
            keep: crate::kept::Keep {
                limit,
                end: crate::kept::End::First,
            },
            from_ns: 0,
            to_ns: 1,
            window_ms,
            condition: Some(condition.to_owned()),
        };
        let compiled = |wanted| {
            let compiled = compile_question(&Definition::Yaml(PAY.to_owned()), Some(&wanted));
            compiled.map(|compiled| compiled.plan.window_ns)
        };
        assert_eq!(compiled(wanted(1_000, 7_000, "op = 'pay'")), Ok(7_000_000_000));
        for (wanted, part) in [
            (wanted(1_001, 7_000, "op = 'pay'"), "at most 1000"),
            (wanted(10, 0, "op = 'pay'"), "no length"),
            (wanted(10, 1, "op ="), "op ="),
            (wanted(10, 1, "count() > 5"), "aggregate"),
        ] {
            let why = compiled(wanted).expect_err(part);
            assert!(why.contains(part), "{why}");
        }
    }

    #[test]
    fn the_system_table_is_a_monitor_like_others() {
        let compiled = compile(&Definition::System).expect("it is built in");
        assert_eq!(
            (compiled.monitor.name.as_str(), compiled.plan.window_ns),
            ("system", 5_000_000_000)
        );
    }
}

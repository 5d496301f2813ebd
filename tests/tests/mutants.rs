//! Planted bugs of the engine: each must turn the comparison with the oracle red, and nothing else may.

use mutant::{Mutant, plant};
use sunfire_tests::compare::differences;
use sunfire_tests::engine::Engine;
use sunfire_tests::generator::{LogSpec, file};
use sunfire_tests::oracle::{Aggregate, Col, Function, HostFile, Question, answer};

struct Case {
    question: Question,
    files: Vec<HostFile>,
}

/// Adversarial logs of every form, counted by a field with three groups kept.
fn cases() -> Vec<Case> {
    let case = |(index, spec): (usize, LogSpec)| {
        let mut question = Question::counting(spec.window_ms, spec.lateness_ms, spec.parse_form());
        question.aggregates.push(Aggregate::new("bytes", Function::Bytes));
        question.group_by = vec![Col::field(spec.body.group_fields()[0])];
        question.window_ms = 60_000;
        question.group_limit = 3;
        Case {
            question,
            files: vec![file(&spec, "h1", "/logs/a.log", 500, index as u64)],
        }
    };
    LogSpec::all_adversarial().into_iter().enumerate().map(case).collect()
}

/// In how many cases the engine, reading in pieces, differs from the oracle.
fn caught(mutant: Option<Mutant>) -> usize {
    let cases = cases();
    let differs = |case: &&Case| {
        let truth = answer(&case.question, &case.files);
        plant(mutant);
        let streamed = Engine::new(&case.question).stream(&case.files, &[1000], 0);
        plant(None);
        !differences(&case.question, &truth, &streamed).is_empty()
    };
    cases.iter().filter(differs).count()
}

#[test]
fn the_engine_without_a_planted_bug_is_right() {
    assert_eq!(caught(None), 0);
}

#[test]
fn a_window_edge_that_is_off_is_caught() {
    assert!(caught(Some(Mutant::WindowEdge)) > 5);
}

#[test]
fn a_half_line_that_is_counted_is_caught() {
    assert!(caught(Some(Mutant::HalfLine)) > 5);
}

#[test]
fn a_loss_in_its_own_window_is_caught() {
    assert!(caught(Some(Mutant::LossInOwnWindow)) > 5);
}

#[test]
fn groups_kept_as_they_come_are_caught() {
    assert!(caught(Some(Mutant::FirstComeGroups)) > 5);
}

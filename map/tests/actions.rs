//! Ten thousand sequences of everything that is done to logs, read by the real reader through the real agent, with a
//! list of what was written beside it. After every pull, and when all has healed: each record counts once and in its
//! window, or the window says that it is not complete. Never complete and wrong.

mod scene;
mod world;

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use std::cell::RefCell;
use world::{Action, KINDS, World};

/// Sequences of an ordinary run. `ACTIONS_CASES` asks for more, `ACTIONS_SEED` for others.
const CASES: u32 = 10_000;
const SEED: u64 = 20_261_123;

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (1..6_u8).prop_map(Action::Write),
        2 => Just(Action::Half),
        2 => Just(Action::Finish),
        3 => Just(Action::Rotate),
        2 => Just(Action::DoubleRotate),
        2 => Just(Action::Copy),
        2 => Just(Action::Truncate),
        2 => Just(Action::CopyTruncate),
        2 => Just(Action::Regrow),
        2 => Just(Action::Gzip),
        2 => Just(Action::Delete),
        2 => Just(Action::Recreate),
        2 => Just(Action::Reuse),
        2 => Just(Action::SwitchLink),
        2 => Just(Action::Lock),
        2 => Just(Action::SecondName),
        2 => Just(Action::Hide),
        3 => prop_oneof![1..20_u16, 30..400_u16, Just(1000)].prop_map(Action::Pause),
        2 => prop_oneof![-15..0_i16, -90..-15_i16, -700..-90_i16].prop_map(Action::Step),
        2 => prop_oneof![1..15_i16, 15..90_i16, 90..700_i16].prop_map(Action::Step),
        14 => Just(Action::Pull),
    ]
}

/// What was met, so that a run that meets nothing does not pass.
#[derive(Default)]
struct Coverage {
    pairs: Vec<u32>,
    sequences: u32,
    complete: u32,
    with_losses: u32,
    with_unknowable: u32,
    with_late: u32,
    counted: usize,
    compressed: usize,
}

impl Coverage {
    fn note(&mut self, actions: &[Action], world: &World, outcome: world::Outcome) {
        self.pairs.resize(KINDS * KINDS, 0);
        for pair in actions.windows(2) {
            self.pairs[pair[0].kind() * KINDS + pair[1].kind()] += 1;
        }
        self.sequences += 1;
        self.complete += u32::from(outcome.is_complete);
        self.with_losses += u32::from(outcome.lost > 0);
        self.with_unknowable += u32::from(outcome.unknowable > 0);
        self.with_late += u32::from(outcome.late > 0);
        self.counted += outcome.counted;
        self.compressed += world.packed;
    }

    fn check(&self) {
        let unmet: Vec<(usize, usize)> = (0..KINDS * KINDS)
            .filter(|pair| self.pairs[*pair] == 0)
            .map(|pair| (pair / KINDS, pair % KINDS))
            .collect();
        eprintln!(
            "{} sequences: {} complete, {} with records lost and said so, {} with records nobody could know of, \
             {} with late ones; {} records counted, {} files compressed",
            self.sequences,
            self.complete,
            self.with_losses,
            self.with_unknowable,
            self.with_late,
            self.counted,
            self.compressed
        );
        assert!(unmet.is_empty(), "pairs of actions that were never met: {unmet:?}");
        assert!(self.complete > self.sequences / 4, "hardly a sequence ends complete");
        assert!(
            self.with_losses > self.sequences / 25,
            "hardly a sequence loses anything that was known"
        );
        assert!(self.with_late > 0 && self.compressed > 0, "a fault of this test");
    }
}

/// Root opens whatever its mode is, unless it gives that power up: this thread does, so that `chmod` hinders it.
fn lay_power_aside() {
    let mut sets = capabilities(None).expect("says what this thread may do");
    sets.effective -= CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
    set_capabilities(None, sets).expect("less is always allowed");
}

fn run(actions: &[Action]) -> Result<(World, world::Outcome), String> {
    let mut world = World::new();
    for action in actions {
        world.act(*action)?;
    }
    world.heal()?;
    let outcome = world.outcome()?;
    Ok((world, outcome))
}

fn from_environment(name: &str, otherwise: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(otherwise, |given| given.parse().expect("a number"))
}

#[test]
fn nothing_counts_twice_and_nothing_is_complete_and_wrong() {
    lay_power_aside();
    let config = ProptestConfig {
        cases: from_environment("ACTIONS_CASES", CASES.into()) as u32,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    };
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&from_environment("ACTIONS_SEED", SEED).to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let coverage = RefCell::new(Coverage::default());
    // Every other one begins with a log that is known: what happens to an unknown one leaves no trace.
    let begin = prop_oneof![Just(vec![]), Just(vec![Action::Write(3), Action::Pull])];
    let sequence = (begin, prop::collection::vec(action(), 4..16)).prop_map(|(begin, rest)| [begin, rest].concat());
    let outcome = runner.run(&sequence, |actions| {
        let (world, outcome) = run(&actions).map_err(TestCaseError::fail)?;
        coverage.borrow_mut().note(&actions, &world, outcome);
        Ok(())
    });
    match outcome {
        Ok(()) => coverage.borrow().check(),
        Err(TestError::Fail(why, actions)) => panic!("{why}\nafter {actions:?}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

/// What the ten thousand have found, each once.
#[test]
fn sequences_that_went_wrong() {
    use Action::{
        Copy, CopyTruncate, Delete, Gzip, Half, Hide, Lock, Pause, Pull, Recreate, Regrow, SecondName, Step,
        SwitchLink, Truncate, Write,
    };
    lay_power_aside();
    let sequences: [&[Action]; 13] = [
        &[Lock, Pull, Write(1), Write(1)],
        &[Write(1), Pull, SecondName, Hide, Pull],
        &[Recreate, Pull, Truncate, Lock, Pull],
        &[Recreate, Pull, Write(1), Truncate, Lock, Pause(400), Pull],
        &[Recreate, Pull, Truncate, SecondName, Pull],
        &[Write(3), Copy, Lock, Pull],
        &[Lock, Pull, Write(1), Delete],
        &[SecondName, Write(1), Pull, Delete],
        &[Write(3), Pull, SecondName, Copy, Pull],
        &[Write(3), Pause(1000), CopyTruncate, Lock, Pull],
        &[Write(3), Copy, Copy, Copy, SwitchLink, Gzip],
        &[
            Write(3),
            Pull,
            Hide,
            Regrow,
            Pull,
            Hide,
            SecondName,
            Pull,
            SecondName,
            Pull,
        ],
        &[Write(2), Half, Copy, Step(-1), Write(1), Regrow, Pull],
    ];
    for sequence in sequences {
        run(sequence)
            .map(drop)
            .unwrap_or_else(|why| panic!("{why}\nafter {sequence:?}"));
    }
}

//! The fuzz targets in an ordinary run: on their corpus, and on a bounded number of inputs that a fixed seed makes of
//! it. `HACKING.md` says how to let them run for long.

#[path = "../../fuzz/src/lib.rs"]
mod bodies;

use bodies::TARGETS;
use lika::seam::Randomness;
use std::fs;
use std::path::Path;

/// Changed inputs for each of the corpus.
const CHANGED: usize = 1500;
/// Changes of one input, at most.
const CHANGES_MAX: u64 = 6;
/// Inputs grow to about this: a sample of a log, not a log.
const INPUT_BYTES_MAX: usize = 4096;
const SEED: u64 = 20_261_123;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    let entries = fs::read_dir(&folder).expect("each target has a corpus");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("reads")).collect()
}

fn below(random: &Randomness, bound: usize) -> usize {
    random.below(bound.max(1) as u64) as usize
}

/// One change: a bit, a byte that means something, a piece cut out, doubled, or taken from another input.
fn change(random: &Randomness, input: &mut Vec<u8>, other: &[u8]) {
    let at = below(random, input.len() + 1);
    let end = at + below(random, (input.len() - at).min(40) + 1);
    match random.below(5) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 => input.insert(at, b"\n\r\0./@:T0 \xff%*"[below(random, 13)]),
        2 => drop(input.drain(at..end)),
        3 => {
            let piece = input[at..end].to_vec();
            input.splice(at..at, piece);
        }
        _ => {
            let from = below(random, other.len() + 1);
            let to = from + below(random, (other.len() - from).min(80) + 1);
            input.splice(at..end, other[from..to].iter().copied());
        }
    }
    input.truncate(INPUT_BYTES_MAX);
}

#[test]
fn what_must_hold_for_any_bytes_holds_for_a_bounded_number() {
    let random = Randomness::seeded(SEED);
    for (name, body) in TARGETS {
        let corpus = corpus(name);
        assert!(corpus.len() >= 4, "the corpus of {name} is too small");
        let (mut tried, mut reached) = (0, 0);
        for input in &corpus {
            assert!(input.len() <= INPUT_BYTES_MAX, "an input of {name} is too long");
            reached += usize::from(body(input));
            tried += 1;
            for _ in 0..CHANGED {
                let mut changed = input.clone();
                for _ in 0..=random.below(CHANGES_MAX) {
                    let other = &corpus[below(&random, corpus.len())];
                    change(&random, &mut changed, other);
                }
                reached += usize::from(body(&changed));
                tried += 1;
            }
        }
        eprintln!("{name}: {reached} of {tried} inputs reached what is promised");
        assert!(
            reached * 50 > tried,
            "{name}: hardly an input reaches what is promised: {reached} of {tried}"
        );
    }
}

//! What is handed out, again and again, until it is acknowledged; and that no verdict overtakes its cells.

use super::*;
use crate::partial::Losses;
use crate::wire::{WireGroup, WirePartial};
use proptest::prelude::*;

const BASE: u64 = 1000;

fn cell(window_ns: i64, generation: u64, read_to: u64) -> Cell {
    Cell {
        window_ns,
        generation,
        version: CellVersion {
            profile: 1,
            read_to,
            epoch: 1,
            attempt: 0,
        },
        partial: WirePartial {
            records: read_to,
            lost: Losses::default(),
            ..WirePartial::default()
        },
        ambiguous: false,
    }
}

fn ok(from_ns: i64, to_ns: i64) -> VerdictRun {
    VerdictRun {
        from_ns,
        to_ns,
        state: HostState::Ok,
        stage: Stage::Settled,
        detail: None,
    }
}

fn report(host: &str, t_ns: i64, cells: Vec<Cell>, verdicts: Vec<VerdictRun>) -> HostReport {
    HostReport {
        host: host.to_owned(),
        origin: 0,
        t_ns,
        delay_ns: 7,
        profile_version: 1,
        cells,
        verdicts,
        profiles: Vec::new(),
    }
}

/// An answer as text: `1001: h1@5 [0/9=10] ok 0-10`, and `more` if so.
fn show(handed: Option<HandedOut>) -> String {
    let Some(handed) = handed else {
        return "nothing".to_owned();
    };
    let mut text = format!("{}:", handed.ticket);
    for part in handed.parts {
        let report = part.into_report();
        let cells = report.cells.iter();
        let cells: Vec<String> = cells
            .map(|cell| format!("{}/{}={}", cell.window_ns, cell.generation, cell.version.read_to))
            .collect();
        text += &format!(" {}@{} [{}]", report.host, report.t_ns, cells.join(" "));
        for run in report.verdicts {
            text += &format!(" {} {}-{}", run.state.name(), run.from_ns, run.to_ns);
        }
    }
    if handed.more {
        text += " more";
    }
    text
}

#[track_caller]
fn check(outbox: &mut Outbox, bytes_max: usize, expected: &str) {
    assert_eq!(show(outbox.hand_out(bytes_max)), expected);
}

#[test]
fn what_is_not_acknowledged_is_handed_out_again() {
    let mut outbox = Outbox::new(10, BASE);
    check(&mut outbox, 1 << 20, "nothing");
    outbox.absorb(report("h1", 5, vec![cell(0, 9, 10)], vec![ok(0, 10)]));
    check(&mut outbox, 1 << 20, "1001: h1@5 [0/9=10] ok 0-10");
    check(&mut outbox, 1 << 20, "1002: h1@5 [0/9=10] ok 0-10");
    // Newer versions replace older ones, in any order of arrival.
    outbox.absorb(report("h1", 6, vec![cell(0, 9, 12), cell(10, 9, 3)], vec![ok(0, 20)]));
    outbox.absorb(report("h1", 6, vec![cell(0, 9, 11)], vec![ok(0, 20)]));
    // What the first answers held is stored; the cell that changed meanwhile stays.
    let acked = outbox.ack(1001);
    assert_eq!(
        (acked.len(), acked[0].cells.len(), acked[0].settled_ns),
        (1, 1, Some(0))
    );
    check(&mut outbox, 1 << 20, "1003: h1@6 [0/9=12 10/9=3] ok 0-20");
    let acked = outbox.ack(1003);
    assert_eq!(acked.last().map(|acked| acked.settled_ns), Some(Some(20)));
    check(&mut outbox, 1 << 20, "nothing");
    assert_eq!(outbox.held_bytes(), 0);
}

#[test]
fn tickets_of_another_life_acknowledge_nothing() {
    let mut outbox = Outbox::new(10, BASE);
    outbox.absorb(report("h1", 5, vec![cell(0, 9, 10)], vec![ok(0, 10)]));
    check(&mut outbox, 1 << 20, "1001: h1@5 [0/9=10] ok 0-10");
    for ticket in [0, 1, BASE, BASE + 2, u64::MAX] {
        assert_eq!(outbox.ack(ticket), []);
    }
    assert!(outbox.held_bytes() > 0);
}

#[test]
fn hosts_take_turns_and_answers_are_bounded() {
    let mut outbox = Outbox::new(10, BASE);
    for host in ["h1", "h2", "h3"] {
        outbox.absorb(report(host, 5, vec![cell(0, 9, 10)], vec![ok(0, 10)]));
    }
    check(&mut outbox, 1, "1001: h1@5 [0/9=10] ok 0-10 more");
    check(&mut outbox, 1, "1002: h2@5 [0/9=10] ok 0-10 more");
    outbox.ack(1002);
    check(&mut outbox, 1, "1003: h3@5 [0/9=10] ok 0-10 more");
    outbox.ack(1003);
    // The first answer may have been lost: what only it held is handed out again.
    check(&mut outbox, 1, "1004: h1@5 [0/9=10] ok 0-10");
    outbox.ack(1004);
    check(&mut outbox, 1, "nothing");
}

#[test]
fn a_host_in_parts_keeps_its_old_verdicts_until_the_last() {
    let mut outbox = Outbox::new(10, BASE);
    outbox.whole_host_bytes = 0;
    outbox.absorb(report("h1", 5, vec![cell(0, 9, 10)], vec![ok(0, 10)]));
    check(&mut outbox, 1 << 20, "1001: h1@5 [0/9=10] ok 0-10");
    outbox.ack(1001);
    outbox.absorb(report("h1", 6, vec![cell(0, 9, 11), cell(10, 9, 3)], vec![ok(0, 20)]));
    check(&mut outbox, 1, "1002: h1@5 [0/9=11] ok 0-10 more");
    outbox.ack(1002);
    check(&mut outbox, 1 << 20, "1003: h1@6 [10/9=3] ok 0-20");
    // Of a host that was never heard of, nothing is said before its last part.
    outbox.absorb(report("h2", 6, vec![cell(0, 9, 11), cell(10, 9, 3)], vec![ok(0, 20)]));
    outbox.ack(1003);
    check(&mut outbox, 1, "1004: h2@0 [0/9=11] more");
}

#[test]
fn verdicts_that_were_heard_are_not_repeated_and_others_are_not_lost() {
    let mut outbox = Outbox::new(10, BASE);
    outbox.absorb(report("h1", 5, vec![], vec![ok(0, 10)]));
    outbox.absorb(report("h1", 6, vec![], vec![ok(20, 30)]));
    check(&mut outbox, 1 << 20, "1001: h1@6 [] ok 0-10 ok 20-30");
    outbox.ack(1001);
    outbox.absorb(report("h1", 7, vec![], vec![ok(20, 40)]));
    check(&mut outbox, 1 << 20, "1002: h1@7 [] ok 20-40");
    let why = Missing {
        state: HostState::OverBudget,
        stage: Stage::Provisional,
        detail: "full".to_owned(),
    };
    assert!(outbox.fill("h1", (0, 60), &why));
    assert!(!outbox.fill("h1", (0, 60), &why));
    check(&mut outbox, 1 << 20, "1003: h1@7 [] ok 20-40 over_budget 40-60");
    assert_eq!((outbox.said_to("h1"), outbox.said_to("h2")), (Some(60), None));
}

#[test]
fn a_cell_that_no_frame_takes_is_said_to_be_over_budget() {
    let mut outbox = Outbox::new(10, BASE);
    let mut huge = cell(10, 9, 10);
    huge.partial.groups = vec![
        WireGroup {
            key: vec![0; CELL_BYTES_MAX],
            records: 1,
            states: Vec::new(),
        };
        1
    ];
    outbox.absorb(report("h1", 5, vec![cell(0, 9, 1), huge], vec![ok(0, 30)]));
    check(
        &mut outbox,
        1 << 20,
        "1001: h1@5 [0/9=1] ok 0-10 over_budget 10-20 ok 20-30",
    );
    assert!(outbox.held_bytes() < CELL_BYTES_MAX);
}

#[test]
fn hosts_that_left_are_forgotten_with_what_they_held() {
    let mut outbox = Outbox::new(10, BASE);
    outbox.absorb(report("h1", 5, vec![cell(0, 9, 1)], vec![ok(0, 10)]));
    outbox.absorb(report("h2", 5, vec![cell(0, 9, 1)], vec![ok(0, 10)]));
    let held = outbox.held_bytes();
    check(&mut outbox, 1 << 20, "1001: h1@5 [0/9=1] ok 0-10 h2@5 [0/9=1] ok 0-10");
    outbox.retain(|host| host == "h2");
    assert_eq!(outbox.held_bytes() * 2, held);
    assert_eq!(outbox.ack(1001).len(), 1);
    check(&mut outbox, 1 << 20, "nothing");
}

/// What happens between a reader, an outbox and a Reduce.
#[derive(Debug, Clone)]
enum Event {
    /// A pull found more in these windows, and proved them all.
    Pulled(Vec<i64>),
    /// The Reduce asks; whether the answer arrives, and whether it then has all stored before it asks again.
    Collected {
        arrives: bool,
        stores: bool,
        bytes_max: usize,
    },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let pulled = prop::collection::vec(0..6_i64, 0..4).prop_map(Event::Pulled);
    let collected = (
        any::<bool>(),
        any::<bool>(),
        prop::sample::select(vec![1, 400, 900, 1 << 20]),
    );
    let collected = collected.prop_map(|(arrives, stores, bytes_max)| Event::Collected {
        arrives,
        stores,
        bytes_max,
    });
    prop::collection::vec(prop_oneof![pulled, collected], 1..60)
}

proptest! {
    /// Whatever is lost on the way, a Reduce that believes a verdict has every cell that it speaks of.
    #[test]
    fn no_verdict_overtakes_its_cells(events in events()) {
        let mut outbox = Outbox::new(10, BASE);
        outbox.whole_host_bytes = 0;
        // Versions of the windows' cells at each pull, and what the Reduce has of them.
        let (mut versions, mut at_pull) = ([0_u64; 6], vec![[0_u64; 6]]);
        let (mut reduce, mut stored) = ([0_u64; 6], 0);
        let last = Event::Collected { arrives: true, stores: true, bytes_max: usize::MAX };
        for event in events.into_iter().chain([last]) {
            match event {
                Event::Pulled(windows) => {
                    windows.iter().for_each(|window| versions[*window as usize] += 1);
                    let changed: BTreeSet<i64> = windows.into_iter().collect();
                    let cells = changed.iter().map(|window| cell(window * 10, 9, versions[*window as usize]));
                    let t_ns = at_pull.len() as i64;
                    at_pull.push(versions);
                    outbox.absorb(report("h1", t_ns, cells.collect(), vec![ok(0, 60)]));
                }
                Event::Collected { arrives, stores, bytes_max } => {
                    outbox.ack(stored);
                    let Some(handed) = outbox.hand_out(bytes_max) else { continue };
                    if !arrives {
                        continue;
                    }
                    for part in handed.parts {
                        let report = part.into_report();
                        for cell in report.cells {
                            let window = (cell.window_ns / 10) as usize;
                            reduce[window] = reduce[window].max(cell.version.read_to);
                        }
                        for run in &report.verdicts {
                            for window in run.from_ns / 10..run.to_ns / 10 {
                                let proved = at_pull[report.t_ns as usize][window as usize];
                                prop_assert!(reduce[window as usize] >= proved);
                            }
                        }
                    }
                    if stores {
                        stored = handed.ticket;
                    }
                }
            }
        }
        prop_assert_eq!(reduce, versions);
    }
}

#[test]
fn profiles_are_handed_out_until_they_are_acknowledged_and_a_few_at_a_time() {
    use crate::node::tests::profile;
    let learned = |profiles: Vec<KeptProfile>| HostReport {
        profiles,
        ..report("h1", 5, Vec::new(), vec![ok(0, 10)])
    };
    let next = |outbox: &mut Outbox| {
        let handed = outbox.hand_out(1 << 20)?;
        let reports = handed.parts.into_iter().map(Part::into_report);
        let profiles = reports.flat_map(|report| report.profiles);
        let profiles: Vec<(u64, u32)> = profiles.map(|one| (one.generation, one.version)).collect();
        Some((handed.ticket, profiles))
    };
    let mut outbox = Outbox::new(10, BASE);
    outbox.absorb(learned(vec![profile(1, 100, 0), profile(2, 100, 0)]));
    assert_eq!(next(&mut outbox), Some((1001, vec![(1, 100), (2, 100)])));
    // One that changed meanwhile stays.
    outbox.absorb(learned(vec![profile(1, 200, 0)]));
    outbox.ack(1001);
    assert_eq!(next(&mut outbox), Some((1002, vec![(1, 200)])));
    assert_eq!(next(&mut outbox), Some((1003, vec![(1, 200)])));
    outbox.ack(1003);
    assert_eq!(next(&mut outbox), None);
    // Large ones come in several answers, and each of them comes.
    outbox.absorb(learned(
        (0..20).map(|generation| profile(generation, 100, 4000)).collect(),
    ));
    let mut seen = Vec::new();
    while let Some((ticket, profiles)) = next(&mut outbox) {
        assert!((1..=4).contains(&profiles.len()));
        seen.extend(profiles.into_iter().map(|(generation, _)| generation));
        outbox.ack(ticket);
    }
    assert_eq!(seen, (0..20).collect::<Vec<u64>>());
}

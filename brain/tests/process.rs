//! A Brain at work: what it tells Reduces, and when, whatever happens to configuration, store and nodes.

mod costs;
mod stage;

use brain::process::StartError;
use map::protocol::{Definition, KeptProfile, PatternOrigin, StampEntry, StampPlace, StampProfile, StampZone};
use map::verdict::HostState;
use reduce::protocol::{BelowWindow, LearnedProfile, ReduceAnswer};
use stage::{APP, MONITOR, NOW, S, play};
use std::collections::BTreeMap;

const OK: &[HostState] = &[HostState::Ok, HostState::OkSilent];

fn below(start_s: i64) -> BelowWindow {
    BelowWindow {
        window_ns: NOW + start_s * S,
        ok: 1,
        expected: 2,
        missing: BTreeMap::from([(HostState::Timeout, 1)]),
        is_settled: false,
    }
}

#[test]
fn what_is_configured_is_installed_and_shown() {
    play(1, async |mut stage| {
        stage.start().await;
        stage.until("installed", || stage.reduce().tasks().len() == 1).await;
        assert_eq!(stage.reduce().tasks(), [("pay".to_owned(), -600, None)]);
        let task = stage
            .reduce()
            .told()
            .installed
            .values()
            .next()
            .cloned()
            .expect("a task");
        assert_eq!(task.definition, Definition::Yaml(MONITOR.to_owned()));
        assert_eq!((task.epoch, task.horizon_ns), (1, 86_400 * S));
        let hosts: Vec<&str> = (task.inventory[0].hosts.iter())
            .map(|target| target.host.as_str())
            .collect();
        assert_eq!((task.place.app.as_str(), task.place.maps.len()), ("shop", 1));
        assert_eq!((hosts, task.inventory.len()), (vec!["h1", "h2"], 1));
        assert!(
            task.inventory[0].from_ns <= task.from_ns,
            "its first window has its hosts"
        );
        stage
            .until_state("heard", |state| state.nodes[1].figures.contains_key("monitors"))
            .await;
        let state = stage.ask_as_console().await;
        assert_eq!(
            (state.epoch, state.monitors.len(), state.apps.len(), state.nodes.len()),
            (1, 1, 1, 3)
        );
        assert_eq!(
            state.monitors[0].reduce.as_ref().map(|node| node.node.as_str()),
            Some("reduce-0")
        );
        assert_eq!((state.mistakes.len(), state.monitors[0].troubles.len()), (0, 0));
        let installs = stage.reduce().told().installs;
        stage.pass(50).await;
        assert_eq!(
            stage.reduce().told().installs,
            installs,
            "what has not changed is not told again"
        );
        stage.stop().await;
    });
}

#[test]
fn a_changed_monitor_changes_at_one_edge_and_the_old_version_goes_when_it_is_done() {
    play(1, async |mut stage| {
        stage.start().await;
        stage.until("installed", || stage.reduce().tasks().len() == 1).await;
        let old = stage
            .reduce()
            .told()
            .installed
            .values()
            .next()
            .map(|task| task.version)
            .expect("a task");
        stage.write("pay.yaml", &format!("{MONITOR}where: a = 1\n"));
        stage.until("both versions", || stage.reduce().tasks().len() == 2).await;
        stage.until("an end", || stage.reduce().tasks()[0].2.is_some()).await;
        let tasks = stage.reduce().tasks();
        let edge_s = tasks[0].2.expect("an end");
        assert_eq!((tasks[0].1, tasks[1].1, tasks[1].2), (-600, edge_s, None));
        assert!(edge_s % 5 == 0 && NOW + edge_s * S > stage.clock.wall().0, "{tasks:?}");
        for start_s in (-600..edge_s).step_by(5) {
            stage.shelf.put(start_s, false, old, OK);
        }
        stage.pass(300).await;
        assert_eq!(stage.reduce().tasks().len(), 2, "its windows are not done yet");
        for start_s in (-600..edge_s).step_by(5) {
            stage.shelf.put(start_s, true, old, OK);
        }
        stage
            .until("the old version is removed", || stage.reduce().tasks().len() == 1)
            .await;
        assert_eq!(stage.reduce().told().removed, [("pay".to_owned(), old)]);
        stage.stop().await;
    });
}

#[test]
fn a_broken_file_changes_nothing_and_a_removed_one_removes() {
    play(1, async |mut stage| {
        stage.start().await;
        stage.until("installed", || stage.reduce().tasks().len() == 1).await;
        stage.write("pay.yaml", "kind: monitor\nname: pay\nselect: { n: cuont() }\n");
        let state = stage
            .until_state("the mistake", |state| !state.mistakes.is_empty())
            .await;
        let mistake = &state.mistakes[0];
        assert_eq!(
            (mistake.line, mistake.column, mistake.hint.as_deref()),
            (3, 14, Some("did you mean `count`?"))
        );
        assert!(
            state.events.iter().any(|event| event.text.starts_with("refused: ")),
            "{:?}",
            state.events
        );
        stage.pass(120).await;
        assert_eq!(stage.reduce().tasks(), [("pay".to_owned(), -600, None)]);
        std::fs::remove_file(stage.path("config/pay.yaml")).expect("removed");
        stage.until("removed", || stage.reduce().tasks().is_empty()).await;
        let state = stage.until_state("mended", |state| state.mistakes.is_empty()).await;
        assert_eq!(state.monitors.len(), 0);
        stage.stop().await;
    });
}

#[test]
fn hosts_that_come_and_go_reach_the_reduce_as_spans() {
    play(1, async |mut stage| {
        stage.start().await;
        stage.until("installed", || stage.reduce().tasks().len() == 1).await;
        stage.write("app.yaml", &APP.replace("h2", "h3"));
        let spans = || {
            let told = stage.reduce().told();
            let task = told.installed.values().next().expect("a task");
            let hosts = |span: &reduce::protocol::InventorySpan| -> Vec<String> {
                span.hosts.iter().map(|target| target.host.clone()).collect()
            };
            let spans: Vec<(u64, Vec<String>)> =
                task.inventory.iter().map(|span| (span.version, hosts(span))).collect();
            spans
        };
        stage.until("a second span", || spans().len() == 2).await;
        let names = |names: [&str; 2]| names.map(str::to_owned).to_vec();
        let expected = vec![(1, names(["h1", "h2"])), (2, names(["h1", "h3"]))];
        assert_eq!(spans(), expected);
        let state = stage
            .until_state("events", |state| state.apps[0].inventory_version == 2)
            .await;
        let told = |text: &str| assert!(state.events.iter().any(|event| event.text == text), "{text}");
        told("hosts of shop joined: h3");
        told("hosts of shop left: h2");
        stage.stop().await;
    });
}

#[test]
fn a_reduce_that_forgot_is_told_again_from_what_the_store_lacks() {
    play(1, async |mut stage| {
        stage.start().await;
        stage.until("installed", || stage.reduce().tasks().len() == 1).await;
        let version = stage
            .reduce()
            .told()
            .installed
            .values()
            .next()
            .map(|task| task.version)
            .expect("a task");
        for start_s in (-600..-100).step_by(5) {
            stage.shelf.put(start_s, true, version, OK);
        }
        stage.shelf.put(-105, false, version, OK);
        stage.reduce().told().installed.clear();
        stage
            .until("installed again", || stage.reduce().tasks().len() == 1)
            .await;
        assert_eq!(stage.reduce().tasks(), [("pay".to_owned(), -105, None)]);
        // A process that restarts is the same, seen from here.
        stage.servers[0] = None;
        stage.reduce().told().installed.clear();
        stage.shelf.put(-105, true, version, OK);
        stage.serve(0).await;
        stage
            .until("installed again", || stage.reduce().tasks().len() == 1)
            .await;
        assert_eq!(stage.reduce().tasks(), [("pay".to_owned(), -100, None)]);
        stage.stop().await;
    });
}

#[test]
fn windows_below_are_ordered_again_at_growing_distances_until_the_store_has_them() {
    play(1, async |mut stage| {
        stage.start().await;
        stage.until("installed", || stage.reduce().tasks().len() == 1).await;
        let version = stage
            .reduce()
            .told()
            .installed
            .values()
            .next()
            .map(|task| task.version)
            .expect("a task");
        stage
            .shelf
            .put(-50, false, version, &[HostState::Ok, HostState::Timeout]);
        stage
            .shelf
            .put(-45, false, version, &[HostState::Ok, HostState::BytesLost]);
        stage.reduce().told().below = vec![below(-50)];
        stage
            .until("four repairs", || stage.reduce().told().repairs.len() == 4)
            .await;
        let repairs = stage.reduce().told().repairs.clone();
        let gaps_s: Vec<i64> = repairs.windows(2).map(|pair| (pair[1].0 - pair[0].0) / S).collect();
        for (gap_s, bound_s) in gaps_s.iter().zip([60, 120, 240]) {
            assert!((bound_s / 2 - 1..=bound_s + 1).contains(gap_s), "{gaps_s:?}");
        }
        assert!(
            repairs.iter().all(|(_, windows)| *windows == [NOW - 50 * S]),
            "{repairs:?}"
        );
        let state = stage.until_state("shown", |state| state.monitors[0].below == 1).await;
        assert_eq!(state.monitors[0].below_windows, [below(-50)]);
        stage.reduce().told().below.clear();
        stage.shelf.put(-50, true, version, OK);
        let is_told = |text: &str| text == "1 windows of pay are complete after they were read again";
        stage
            .until_state("healed", |state| state.events.iter().any(|event| is_told(&event.text)))
            .await;
        let before = stage.reduce().told().repairs.len();
        stage.pass(3_000).await;
        assert_eq!(stage.reduce().told().repairs.len(), before);
        stage.stop().await;
    });
}

#[test]
fn windows_that_were_never_published_are_noticed_and_ordered() {
    play(1, async |mut stage| {
        stage.start().await;
        stage.until("installed", || stage.reduce().tasks().len() == 1).await;
        let version = stage
            .reduce()
            .told()
            .installed
            .values()
            .next()
            .map(|task| task.version)
            .expect("a task");
        for start_s in (-600..0).step_by(5).filter(|start_s| *start_s != -300) {
            stage.shelf.put(start_s, true, version, OK);
        }
        stage.reduce().told().newest_ns = Some(NOW);
        stage
            .until("a repair", || !stage.reduce().told().repairs.is_empty())
            .await;
        assert_eq!(stage.reduce().told().repairs[0].1, [NOW - 300 * S]);
        stage.until_state("shown", |state| state.monitors[0].below == 1).await;
        stage.shelf.put(-300, true, version, OK);
        stage.until_state("found", |state| state.monitors[0].below == 0).await;
        stage.stop().await;
    });
}

#[test]
fn a_dead_reduce_loses_its_monitors_under_a_new_epoch() {
    play(3, async |mut stage| {
        stage.start().await;
        let owner = |stage: &stage::Stage| stage.reduces.iter().position(|reduce| !reduce.tasks().is_empty());
        stage.until("installed", || owner(&stage).is_some()).await;
        let first = owner(&stage).expect("an owner");
        stage.servers[first] = None;
        stage
            .until("it moved", || {
                stage.reduces.iter().filter(|reduce| !reduce.tasks().is_empty()).count() == 2
            })
            .await;
        let second = (0..3)
            .find(|index| *index != first && !stage.reduces[*index].tasks().is_empty())
            .expect("an heir");
        assert!(
            stage.reduces[second]
                .told()
                .installed
                .values()
                .all(|task| task.epoch == 2)
        );
        // The first is back with what it had: it loses it, or gets it under a still newer epoch.
        stage.serve(first).await;
        stage
            .until("one owner", || {
                stage.reduces.iter().filter(|reduce| !reduce.tasks().is_empty()).count() == 1
            })
            .await;
        let last = owner(&stage).expect("an owner");
        let epochs: Vec<u64> = stage.reduces[last]
            .told()
            .installed
            .values()
            .map(|task| task.epoch)
            .collect();
        assert!(epochs.iter().all(|epoch| *epoch >= 2), "{epochs:?}");
        stage.stop().await;
    });
}

#[test]
fn a_reduce_that_answers_and_does_nothing_for_a_monitor_loses_it() {
    play(2, async |mut stage| {
        stage.start().await;
        let owner = |stage: &stage::Stage| stage.reduces.iter().position(|reduce| !reduce.tasks().is_empty());
        stage.until("installed", || owner(&stage).is_some()).await;
        let first = owner(&stage).expect("an owner");
        // It answers, and its newest window stands still; while the store is away that is no wonder.
        let stand_still = |reduce: &stage::Reduce| reduce.told().newest_ns = Some(NOW + 5 * S);
        stage.pass(10).await;
        stand_still(&stage.reduces[first]);
        stage.reduces[first].told().waits_for_store = true;
        stage.pass(900).await;
        stage.reduces[first].told().waits_for_store = false;
        stage.pass(110).await;
        assert!(!stage.reduces[first].tasks().is_empty());
        let other = &stage.reduces[1 - first];
        stage.until("it moved", || !other.tasks().is_empty()).await;
        assert!(other.told().installed.values().all(|task| task.epoch == 2));
        stage
            .until("the first was told", || stage.reduces[first].tasks().is_empty())
            .await;
        let state = stage.ask_as_console().await;
        let is_told =
            |event: &brain::protocol::Event| event.text.contains("does nothing for pay, which others take over");
        assert!(state.events.iter().any(is_told), "{:?}", state.events);
        stage.stop().await;
    });
}

#[test]
fn a_monitor_that_nobody_gets_on_with_is_moved_ever_more_seldom() {
    play(2, async |mut stage| {
        stage.start().await;
        stage
            .reduces
            .iter()
            .for_each(|reduce| reduce.told().newest_ns = Some(NOW + 5 * S));
        stage.pass(3 * 3600).await;
        let epoch = stage.ask_as_console().await.epoch;
        // Two minutes, four, eight, sixteen, then thirty-two each.
        assert!((5..=10).contains(&epoch), "{epoch}");
        stage.stop().await;
    });
}

#[test]
fn a_reduce_that_does_nothing_again_is_avoided_for_longer() {
    play(2, async |mut stage| {
        stage.start().await;
        let owner = |stage: &stage::Stage| stage.reduces.iter().position(|reduce| !reduce.tasks().is_empty());
        stage.until("installed", || owner(&stage).is_some()).await;
        let first = owner(&stage).expect("an owner");
        stage.reduces[first].told().newest_ns = Some(NOW + 5 * S);
        for second in (0..3 * 3600).step_by(5) {
            stage.reduces[1 - first].told().newest_ns = Some(NOW + second * S);
            stage.pass(5).await;
        }
        // To and fro, each time for twice as long: after ten minutes, twenty, forty, eighty.
        let epoch = stage.ask_as_console().await.epoch;
        assert!((5..=10).contains(&epoch), "{epoch}");
        stage.stop().await;
    });
}

#[test]
fn a_monitor_is_not_moved_from_the_only_reduce() {
    play(1, async |mut stage| {
        stage.start().await;
        stage.reduce().told().newest_ns = Some(NOW + 5 * S);
        stage.until("installed", || !stage.reduce().tasks().is_empty()).await;
        stage.pass(3600).await;
        let told = stage.reduce().told().removed.len();
        let state = stage.ask_as_console().await;
        assert_eq!((told, state.epoch), (0, 1));
        stage.stop().await;
    });
}

#[test]
fn one_brain_at_a_time_and_each_start_outranks_the_last() {
    play(1, async |mut stage| {
        stage.start().await;
        stage.until("installed", || stage.reduce().tasks().len() == 1).await;
        let second = stage.try_start().await.err();
        assert!(matches!(second, Some(StartError::Data(_))), "{second:?}");
        stage.stop().await;
        stage.start().await;
        let is_second = || stage.reduce().told().installed.values().all(|task| task.epoch == 2);
        stage.until("installed again", is_second).await;
        assert_eq!(stage.reduce().tasks(), [("pay".to_owned(), -600, None)]);
        stage.stop().await;
    });
}

#[test]
fn what_a_reduce_refuses_is_shown() {
    play(1, async |mut stage| {
        stage.reduce().told().refuse = Some(ReduceAnswer::Stale { epoch: 9 });
        stage.start().await;
        let is_told = |state: &brain::protocol::BrainState, text: &str| {
            state
                .monitors
                .iter()
                .any(|monitor| monitor.troubles.iter().any(|trouble| trouble.contains(text)))
        };
        stage
            .until_state("outranked", |state| is_told(state, "obeys a brain of epoch 9"))
            .await;
        stage.reduce().told().refuse = Some(ReduceAnswer::Invalid("no such column".to_owned()));
        stage
            .until_state("invalid", |state| {
                is_told(state, "it cannot be counted: no such column")
            })
            .await;
        let installs = stage.reduce().told().installs;
        stage.pass(60).await;
        assert_eq!(
            stage.reduce().told().installs,
            installs,
            "what can't be counted is not told again"
        );
        stage.reduce().told().refuse = None;
        stage.write("pay.yaml", &MONITOR.replace("count()", "sum(x)"));
        stage
            .until("the next version", || !stage.reduce().tasks().is_empty())
            .await;
        stage.stop().await;
    });
}

fn learned(host: &str, generation: u64, version: u32, task_version: u64) -> LearnedProfile {
    let entry = StampEntry {
        offset: 0,
        pattern: "%d/%m/%Y %H:%M:%S".to_owned(),
        origin: PatternOrigin::Learned,
        place: StampPlace::Column(0),
        year_marks: Vec::new(),
    };
    LearnedProfile {
        monitor: "pay".to_owned(),
        version: task_version,
        host: host.to_owned(),
        profile: KeptProfile {
            tail: None,
            generation,
            version,
            sample_bytes: version.into(),
            appended: 0,
            stamps: StampProfile {
                entries: vec![entry],
                zone: StampZone::Host,
            },
            lateness_ns: 10 * S,
            life: None,
        },
    }
}

#[test]
fn what_was_learned_is_acknowledged_once_it_lasts_and_given_with_every_task() {
    play(1, async |mut stage| {
        stage.start().await;
        stage.until("installed", || stage.reduce().tasks().len() == 1).await;
        let version = stage.reduce().told().installed.values().next().map(|task| task.version);
        let version = version.expect("a task");
        let say = |stage: &stage::Stage, ticket: u64, lesson: LearnedProfile| {
            stage.reduce().told().news.insert(ticket, lesson);
        };
        say(&stage, 7, learned("h1", 1, 100, version));
        say(&stage, 8, learned("h2", 2, 100, version));
        say(&stage, 9, learned("h2", 3, 100, version + 1));
        stage.until("heard", || stage.reduce().told().news.is_empty()).await;
        let installs = stage.reduce().told().installs;
        stage.pass(20).await;
        assert_eq!(stage.reduce().told().installs, installs, "it is no reason to install");
        let given = |stage: &stage::Stage| -> Vec<(String, Vec<KeptProfile>)> {
            let told = stage.reduce().told();
            told.installed.values().flat_map(|task| task.profiles.clone()).collect()
        };
        let expected = [("h1", 1), ("h2", 2)]
            .map(|(host, generation)| (host.to_owned(), vec![learned(host, generation, 100, version).profile]));
        // The Reduce loses all it had, and then everything is started anew.
        stage.reduce().told().installed.clear();
        stage.until("told again", || given(&stage) == expected).await;
        stage.stop().await;
        stage.reduce().told().installed.clear();
        stage.start().await;
        stage.until("told after a restart", || given(&stage) == expected).await;
        // Under other overrides nothing is known yet.
        stage.write("pay.yaml", &format!("{MONITOR}timezone: Europe/Rome\n"));
        stage.until("a new version", || stage.reduce().tasks().len() == 2).await;
        let told = stage.reduce().told().installed.clone();
        let new = told.values().find(|task| task.version != version).expect("it is there");
        assert_eq!(new.profiles, []);
        stage.stop().await;
    });
}

//! What a Brain says of the cost of monitors: as their Maps measure it, and before they do, as it is estimated.

use crate::stage::play;
use brain::protocol::{BrainState, MonitorState};
use map::protocol::MonitorSeen;

const DEAR: &str = "kind: monitor\nname: dear\napp: shop\nlog: /l\nparse: json\nselect: { s: sum(x) }\nwindow: 5s\n\
                    limits: { cpu: 1ms/s }\n";

fn of<'s>(state: &'s BrainState, name: &str) -> &'s MonitorState {
    let found = state.monitors.iter().find(|monitor| monitor.name == name);
    found.expect("it is configured")
}

fn seen(state: &MonitorState, cpu_us_per_s: u64, bytes_per_s: u64) -> MonitorSeen {
    MonitorSeen {
        monitor: state.name.clone(),
        version: state.version,
        cpu_us_per_s,
        bytes_per_s,
        suspended: None,
    }
}

/// A monitor whose log is known to bring more than its limit allows says so when it is taken in, and no longer once it
/// is measured.
#[test]
fn a_monitor_that_is_expected_to_be_too_dear_says_so_until_it_is_measured() {
    play(1, async |mut stage| {
        stage.start().await;
        let state = stage
            .until_state("it is there", |state| state.monitors.len() == 1)
            .await;
        let pay = seen(of(&state, "pay"), 30_000, 40_000_000);
        stage.reduce().told().costs = vec![pay.clone()];
        stage
            .until_state("a cost", |state| of(state, "pay").cpu_us_per_s == 30_000)
            .await;
        stage.write("dear.yaml", DEAR);
        let state = stage.until_state("another", |state| state.monitors.len() == 2).await;
        let dear = of(&state, "dear");
        assert_eq!((of(&state, "pay").notices.len(), dear.troubles.len()), (0, 0));
        let told = &dear.notices[..];
        assert!(
            told.len() == 1
                && told[0].starts_with("map-0: by its estimate it will take ")
                && told[0].ends_with("its limit is 1.0: its log brings 40 MB/s there"),
            "{told:?}"
        );
        let text = format!("monitor dear: {}", told[0]);
        assert!(
            state.events.iter().any(|event| event.text == text),
            "{:?}",
            state.events
        );

        stage.reduce().told().costs = vec![pay, seen(dear, 900, 40_000_000)];
        let state = stage
            .until_state("measured", |state| of(state, "dear").bytes_per_s > 0)
            .await;
        assert_eq!(of(&state, "dear").notices, [""; 0]);
        stage.stop().await;
    });
}

/// Without a limit, or without anybody who goes through the log, nothing is said.
#[test]
fn nothing_is_said_of_what_is_not_known() {
    play(1, async |mut stage| {
        stage.write("dear.yaml", &DEAR.replace("log: /l", "log: /other"));
        stage.start().await;
        let state = stage
            .until_state("they are there", |state| state.monitors.len() == 2)
            .await;
        stage.reduce().told().costs = vec![seen(of(&state, "pay"), 30_000, 40_000_000)];
        let state = stage
            .until_state("a cost", |state| of(state, "pay").cpu_us_per_s == 30_000)
            .await;
        assert!(of(&state, "dear").estimated_us_per_mb > 0);
        assert_eq!(of(&state, "dear").notices, [""; 0], "nobody reads its log");
        stage.stop().await;
    });
}

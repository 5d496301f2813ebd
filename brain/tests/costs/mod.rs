//! What a Brain says of the cost of monitors: as their Maps measure it, and before they do, as it is estimated.

use crate::stage::{APP, play};
use brain::protocol::{BrainState, MonitorState};
use map::protocol::{MonitorSeen, Tenant, TenantSeen};

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

/// What a tenant may cost goes to the Reduces with each of its monitors, and a changed document does so, too, without a
/// new version of anything.
#[test]
fn a_tenants_limits_are_told_with_its_monitors_and_no_part_of_their_version() {
    play(1, async |mut stage| {
        let of_app = APP.replace("name: shop\n", "name: shop\ntenant: trade\n");
        stage.write("app.yaml", &of_app);
        let own = DEAR.replace("name: dear\n", "name: dear\ntenant: search\n");
        stage.write("dear.yaml", &own);
        stage.start().await;
        let state = stage
            .until_state("they are there", |state| state.monitors.len() == 2)
            .await;
        assert_eq!(of(&state, "pay").tenant.as_deref(), Some("trade"), "its app's");
        assert_eq!(of(&state, "dear").tenant.as_deref(), Some("search"), "its own");
        let told = |monitor: &str, cpu_us_per_s: Option<u64>| {
            let reduce = stage.reduce();
            let told = reduce.told();
            let mut versions = told.installed.values().filter(|task| task.monitor == monitor);
            let task = versions.next().filter(|task| {
                let tenant = task.tenant.as_ref();
                tenant.is_some_and(|tenant: &Tenant| tenant.cpu_us_per_s == cpu_us_per_s)
            });
            task.map(|task| task.version).filter(|_| versions.next().is_none())
        };
        stage.until("both are told", || told("pay", None).is_some()).await;
        let version = told("pay", None);
        let document = |cpu: &str| format!("kind: tenant\nname: trade\nlimits: {{ cpu: {cpu} }}\n");
        stage.write("trade.yaml", &document("500ms/s"));
        stage
            .until("a limit is told", || told("pay", Some(500_000)).is_some())
            .await;
        stage.write("trade.yaml", &document("700ms/s"));
        stage
            .until("another is told", || told("pay", Some(700_000)).is_some())
            .await;
        assert_eq!(told("pay", Some(700_000)), version, "nothing else is counted");
        assert!(told("dear", None).is_some(), "the other's has none");

        let seen = TenantSeen {
            tenant: "trade".to_owned(),
            cpu_us_per_s: 620_000,
            bytes_per_s: 7,
            suspended: 1,
        };
        stage.reduce().told().tenants = vec![seen];
        let state = stage
            .until_state("a cost", |state| {
                state.tenants.iter().any(|tenant| tenant.suspended == 1)
            })
            .await;
        let shown: Vec<_> = state
            .tenants
            .iter()
            .map(|tenant| {
                (
                    &*tenant.name,
                    tenant.monitors,
                    tenant.cpu_us_per_s,
                    tenant.cpu_limit_us_per_s,
                )
            })
            .collect();
        assert_eq!(shown, [("search", 1, 0, None), ("trade", 1, 620_000, Some(700_000))]);
        stage.stop().await;
    });
}

//! A Brain that says what it is told to say.

use brain::protocol::{
    AppState, BrainAnswer, BrainProtocol, BrainRequest, BrainState, Event, Mistake, MonitorState, NodeState,
    TenantState,
};
use lika::node::{Call, Handler, Refusal};
use map::verdict::HostState;
use reduce::overflow::Overflow;
use reduce::protocol::{BelowWindow, NodeAddress, NodeLife, ShardSeen};
use std::collections::BTreeMap;

pub(super) struct FixedBrain(pub(super) BrainState);

impl Handler<BrainProtocol> for FixedBrain {
    async fn handle(&self, request: BrainRequest, _call: &mut Call<BrainProtocol>) -> Result<BrainAnswer, Refusal> {
        match request {
            BrainRequest::State => Ok(BrainAnswer::State(Box::new(self.0.clone()))),
            BrainRequest::Browse { host, question, .. } => Ok(super::files::browsed(&host, question)),
            BrainRequest::Agents => Ok(super::files::agents()),
            BrainRequest::Ask(_) => Ok(BrainAnswer::NoSuchApp),
        }
    }
}

/// A monitor of which nothing is stored.
const YOUNG: &str = "kind: monitor\nname: young\napp: shop\nlog: /var/log/x.log\nparse: logfmt\ngroup_by: [op]\n\
                     select: { n: count(), avg_ms: avg(ms) }\nwindow: 5s\n";

fn node(name: &str) -> NodeAddress {
    NodeAddress {
        node: name.to_owned(),
        address: "10.0.0.1:7803".to_owned(),
    }
}

fn monitor_state(name: &str) -> MonitorState {
    MonitorState {
        name: name.to_owned(),
        tenant: None,
        app: Some("shop".to_owned()),
        log: Some("/var/log/x.log".to_owned()),
        version: u64::MAX,
        file: Some("m.yaml".to_owned()),
        text: "kind: monitor".to_owned(),
        window_ms: 10_000,
        grace_ms: 1_000,
        group_by: vec!["path".to_owned()],
        outputs: vec!["n".to_owned()],
        hosts_expected: 2,
        reduce: Some(node("reduce-1")),
        shards: vec![ShardSeen {
            map: "map-1".to_owned(),
            hosts: 2,
        }],
        newest_ns: Some(10_000_000_000),
        below: 1,
        below_windows: vec![BelowWindow {
            window_ns: 0,
            ok: 1,
            expected: 2,
            missing: BTreeMap::from([(HostState::Timeout, 1)]),
            is_settled: false,
        }],
        troubles: vec!["something".to_owned()],
        cpu_us_per_s: 12_300,
        bytes_per_s: 1 << 20,
        overflow: Some(Overflow {
            values: 1_200,
            is_least: false,
            groups: 1_000,
            columns: vec!["path".to_owned()],
        }),
        estimated_us_per_mb: 900,
        cpu_limit_us_per_s: Some(50_000),
        notices: vec!["something to expect".to_owned()],
    }
}

pub(super) fn brain_state() -> BrainState {
    let labels = BTreeMap::from([("zone".to_owned(), "a".to_owned())]);
    BrainState {
        epoch: 4,
        monitors: vec![
            monitor_state("m"),
            MonitorState {
                text: YOUNG.to_owned(),
                ..monitor_state("young")
            },
            monitor_state("system"),
        ],
        apps: vec![AppState {
            name: "shop".to_owned(),
            inventory_version: 7,
            hosts: vec![("h1".to_owned(), "10.0.0.2:7801".to_owned(), labels)],
        }],
        tenants: vec![TenantState {
            name: "trade".to_owned(),
            monitors: 2,
            cpu_us_per_s: 620_000,
            bytes_per_s: 1 << 20,
            cpu_limit_us_per_s: Some(500_000),
            bytes_limit_per_s: None,
            suspended: 1,
        }],
        mistakes: vec![Mistake {
            file: "broken.yaml".to_owned(),
            line: 3,
            column: 5,
            message: "unknown key".to_owned(),
            hint: Some("did you mean `log`?".to_owned()),
            count: 1,
        }],
        nodes: vec![NodeState {
            node: node("map-1"),
            role: "map".to_owned(),
            life: NodeLife::Live,
            since_ns: Some(1_500_000_000),
            trouble: None,
            drained: None,
            figures: [("pulls", 17), ("inputs", 3), ("inputs_unshared", 4)]
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
        }],
        events: vec![Event {
            t_ns: 1_500_000_000,
            kind: "config".to_owned(),
            text: "changed".to_owned(),
        }],
    }
}

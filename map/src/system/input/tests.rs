//! Samples by the clock, with an agent that answers as it is told.

use super::*;
use crate::definition::compile;
use crate::protocol::Definition;
use agent::protocol::{DiskUsage, MountUsage, SystemText};
use std::collections::VecDeque;

const SECOND: i64 = 1_000_000_000;
/// A window's start.
const T: i64 = 1_795_435_200 * SECOND;

/// An agent whose clock is so far ahead of ours, with counters that rise by what they should.
struct Agent {
    now_ns: i64,
    skew_ns: i64,
    failures: VecDeque<HostState>,
    asked: u64,
}

impl Port for Agent {
    async fn ask(&mut self, body: RequestBody) -> Result<Answer, PortError> {
        assert_eq!(body, RequestBody::System);
        self.asked += 1;
        if let Some(state) = self.failures.pop_front() {
            let detail = "told to fail".to_owned();
            return Err(PortError { state, detail });
        }
        let t_ns = self.now_ns + self.skew_ns;
        // The clock's steps are whole microseconds, and so the rates are exact.
        let micros = (t_ns - T) / 1000 + SECOND;
        let (user, idle, bytes) = (micros * 3, micros * 7, micros);
        let stat = format!("cpu  {user} 0 0 {idle} 0 0 0 0 0 0\n");
        let net = format!("eth0: {bytes} 0 0 0 0 0 0 0 {bytes} 0 0 0 0 0 0 0\n");
        let mounts = ["/", "/a \"b\\\n=c"].map(|mount_point| MountUsage {
            mount_point: mount_point.to_owned(),
            filesystem: "ext4".to_owned(),
            usage: DiskUsage::Known {
                total_bytes: 100,
                free_bytes: 75,
                available_bytes: 75,
            },
        });
        Ok(Answer::System(SystemAnswer {
            t_before_ns: t_ns,
            t_after_ns: t_ns,
            machine_id: String::new(),
            instance: 0,
            texts: vec![(SystemText::Stat, Ok(stat)), (SystemText::NetworkDevices, Ok(net))],
            mounts: mounts.to_vec(),
        }))
    }

    async fn fetch(
        &mut self,
        _request: agent::protocol::RangeRequest,
        _into: &mut Vec<u8>,
    ) -> Result<agent::protocol::RangeEnd, PortError> {
        unreachable!("figures come as an answer")
    }
}

fn subscription(monitor: &str, from_ns: i64) -> Subscription {
    let compiled = compile(&Definition::System).expect("built in");
    let labels = [("host", "h1"), ("zone", "a")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    Subscription {
        id: TaskId {
            monitor: monitor.to_owned(),
            version: 1,
            shard: 0,
        },
        epoch: 1,
        host: "h1".to_owned(),
        labels: BTreeMap::from(labels),
        monitor: compiled.monitor,
        plan: compiled.plan,
        from_ns,
        proved_ns: from_ns,
        until_ns: None,
        profiles: Arc::default(),
        suspended: Arc::default(),
    }
}

/// A host pulled from a time on, as the node would.
struct Run {
    input: SystemInput,
    agent: Agent,
    reports: BTreeMap<String, Vec<HostReport>>,
}

impl Run {
    fn new(first_ns: i64, skew_ns: i64) -> Self {
        let mut input = SystemInput::new("h1:1");
        input.subscribe(subscription("one", T - 10 * SECOND));
        Self {
            input,
            agent: Agent {
                now_ns: first_ns,
                skew_ns,
                failures: VecDeque::new(),
                asked: 0,
            },
            reports: BTreeMap::new(),
        }
    }

    fn until(&mut self, end_ns: i64) -> &mut Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        while self.agent.now_ns < end_ns {
            let now_ns = self.agent.now_ns;
            let pulled = runtime.block_on(self.input.pull(&mut self.agent, now_ns));
            for (id, report) in pulled.reports {
                self.reports.entry(id.monitor).or_default().push(report);
            }
            let next_ns = self.input.next_ns(now_ns, 40_000_000);
            assert!(
                next_ns > now_ns && next_ns <= now_ns + WINDOW_NS,
                "{}",
                next_ns - now_ns
            );
            self.agent.now_ns = next_ns;
        }
        self
    }

    /// What was said at last, in seconds after `T`: `not_started -10-0, ok 0-10`.
    fn verdicts(&self, monitor: &str) -> String {
        let mut runs: Vec<String> = Vec::new();
        let last = self.reports[monitor].last().expect("it was spoken of");
        for run in &last.verdicts {
            let at = |t_ns: i64| (t_ns - T) / SECOND;
            runs.push(format!("{} {}-{}", run.state.name(), at(run.from_ns), at(run.to_ns)));
        }
        runs.join(", ")
    }

    /// Samples and records of each window, in seconds after `T`.
    fn cells(&self, monitor: &str) -> Vec<(i64, u64, u64)> {
        let mut cells = BTreeMap::new();
        for cell in self.reports[monitor].iter().flat_map(|report| &report.cells) {
            let second = (cell.window_ns - T) / SECOND;
            cells.insert(second, (cell.version.read_to, cell.partial.records));
        }
        cells
            .into_iter()
            .map(|(second, (samples, records))| (second, samples, records))
            .collect()
    }
}

#[test]
fn each_window_gets_one_sample_and_is_complete_after_its_grace() {
    let mut run = Run::new(T + SECOND / 10, 0);
    run.until(T + 16 * SECOND + SECOND / 2);
    assert_eq!(run.verdicts("one"), "not_started -10-0, ok 0-15");
    assert_eq!(run.cells("one"), [(0, 1, 3), (5, 1, 3), (10, 1, 3)]);
    // A base for rates, and one in each window.
    assert_eq!(run.agent.asked, 4);
    // Three tenths busy, a million bytes a second, in exact numbers; a quarter of each mount used.
    let cell = &run.reports["one"]
        .iter()
        .flat_map(|report| &report.cells)
        .next()
        .expect("the first window");
    let names: Vec<String> = super::super::monitor()
        .select
        .iter()
        .map(|output| output.name.clone())
        .collect();
    let of = |name: &str| names.iter().position(|known| known == name).expect("a column");
    let sum = |value: i128| crate::state::State::Sum {
        count: 1,
        sum_nanos: value * 1_000_000_000,
    };
    let groups = &cell.partial.groups;
    let host = groups
        .iter()
        .find(|group| group.states[of("cpu.util")] == sum(30))
        .expect("the host's");
    assert_eq!(host.states[of("net.sent")], sum(1_000_000));
    assert_eq!(
        groups
            .iter()
            .filter(|group| group.states[of("disk.used_percent")] == sum(25))
            .count(),
        2
    );
    let odd = b"/a \"b\\\n=c";
    assert!(
        groups
            .iter()
            .any(|group| group.key.windows(odd.len()).any(|part| part == odd))
    );
}

#[test]
fn a_sample_that_fails_is_tried_again_and_a_window_without_one_says_why() {
    let mut run = Run::new(T + SECOND / 10, 0);
    run.until(T + 6 * SECOND + SECOND / 2);
    run.agent.failures = [HostState::Timeout].into();
    run.until(T + 11 * SECOND + SECOND / 2);
    assert_eq!(run.verdicts("one"), "not_started -10-0, ok 0-10");
    run.agent.failures = [HostState::Unreachable; 2].into();
    run.until(T + 21 * SECOND + SECOND / 2);
    assert_eq!(
        run.verdicts("one"),
        "not_started -10-0, ok 0-10, unreachable 10-15, ok 15-20"
    );
    // The sample after the gap still has rates: one missed is bridged.
    assert_eq!(run.cells("one").len(), 3);
}

#[test]
fn windows_are_of_the_hosts_clock() {
    for skew_ns in [-20 * SECOND, -SECOND, 0, SECOND, 30 * SECOND] {
        let mut run = Run::new(T + 100 * SECOND, skew_ns);
        run.until(T + 140 * SECOND);
        let text = run.verdicts("one");
        // Nothing is missed, whatever the skew: all is complete from the first sample on.
        assert!(
            text.starts_with("not_started -10-") && text.matches(", ").count() == 1,
            "{skew_ns}: {text}"
        );
        let at_host_s = 140 + skew_ns / SECOND;
        let to_s: i64 = text.rsplit('-').next().and_then(|to| to.parse().ok()).expect("an end");
        assert!((at_host_s - 12..at_host_s).contains(&to_s), "{skew_ns}: {text}");
        assert!(
            run.cells("one").iter().all(|(_, samples, _)| *samples == 1),
            "{skew_ns}"
        );
    }
}

#[test]
fn a_clock_that_is_off_is_told_and_nothing_of_it_counted() {
    for (skew_s, expected) in [(-3600, "behind"), (90, "ahead")] {
        let mut run = Run::new(T + SECOND / 10, skew_s * SECOND);
        run.until(T + 11 * SECOND + SECOND / 2);
        assert_eq!(run.verdicts("one"), format!("not_started -10-0, {expected} 0-10"));
        assert_eq!(run.cells("one"), []);
        let last = run.reports["one"]
            .last()
            .and_then(|report| report.verdicts.last())
            .expect("a verdict");
        assert!(last.detail.as_deref().is_some_and(|detail| detail.contains("clock")));
    }
}

#[test]
fn a_second_monitor_begins_with_the_next_window_that_it_sees_whole() {
    let mut run = Run::new(T + SECOND / 10, 0);
    run.until(T + 3 * SECOND);
    run.input.subscribe(subscription("two", T - 5 * SECOND));
    run.until(T + 16 * SECOND + SECOND / 2);
    assert_eq!(run.verdicts("one"), "not_started -10-0, ok 0-15");
    assert_eq!(run.verdicts("two"), "not_started -5-5, ok 5-15");
    assert_eq!(run.cells("two"), [(5, 1, 3), (10, 1, 3)]);
    // It costs the agent nothing.
    assert_eq!(run.agent.asked, 4);
}

#[test]
fn a_version_ends_where_the_next_begins() {
    let mut run = Run::new(T + SECOND / 10, 0);
    let ended = Subscription {
        until_ns: Some(T + 5 * SECOND),
        ..subscription("one", T - 10 * SECOND)
    };
    run.input.subscribe(ended);
    run.until(T + 16 * SECOND + SECOND / 2);
    assert_eq!(run.verdicts("one"), "not_started -10-0, ok 0-5");
    assert_eq!(run.cells("one"), [(0, 1, 3)]);
}

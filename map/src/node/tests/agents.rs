//! The whole way to a real agent over real files, in simulated time: counting, an agent that is gone or hangs, and the
//! hosts' own figures.

use super::*;
use crate::system;
use agent::binding::{AgentProtocol, Limits as AgentLimits, listen};
use agent::profile::LoglineStamps;
use agent::protocol::{Answer, Request};
use agent::roots::{HardLinks, Roots};
use agent::service::Agent;
use lika::node::{Call, Refusal, Server, ServerBuilder};
use lika::seam::LinkState;
use std::fs::OpenOptions;
use std::io::Write;

const ADDRESS: &str = "agent:1";

/// A folder of logs.
struct Logs {
    folder: tempfile::TempDir,
}

impl Logs {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder }
    }

    fn base(&self) -> String {
        let real = self.folder.path().canonicalize().expect("it is there");
        real.to_str().expect("utf-8").to_owned()
    }

    fn path(&self) -> String {
        format!("{}/app.log", self.base())
    }

    /// Appends a line with a stamp.
    fn line(&self, t_ns: i64, text: &str) {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path())
            .expect("a log");
        let stamp = jiff::Timestamp::from_nanosecond(t_ns.into()).expect("in range");
        writeln!(file, "{stamp} {text}").expect("room");
        // The machine's own clock must not show: this log is written in simulated time.
        let modified = std::time::UNIX_EPOCH + Duration::from_nanos(t_ns.unsigned_abs());
        file.set_modified(modified).expect("it is ours");
    }
}

/// An agent over the folder, as long as the server is kept.
async fn agent(clock: &Clock, network: &MemoryNetwork, base: String) -> Server {
    let roots = Roots::open(&[base], HardLinks::Refuse).expect("a root");
    let agent = Agent::new(roots, Arc::new(clock.clone()), Arc::new(LoglineStamps));
    let identity = Identity {
        role: agent::binding::ROLE.to_owned(),
        node: "h1".to_owned(),
        token: Token::new(OPEN_TOKEN).expect("long enough"),
    };
    let limits = AgentLimits::default();
    let listening = listen(
        Arc::new(agent),
        (identity, &limits),
        (clock.clone(), Randomness::seeded(9)),
        (network, ADDRESS),
    );
    listening.await.expect("a free address")
}

/// A node, an agent, and a log of it with one record, counted.
async fn counting() -> (Scene, Logs, Server) {
    let (scene, logs) = (Scene::new(Limits::default()).await, Logs::new());
    let server = agent(&scene.clock, &scene.agents, logs.base()).await;
    logs.line(START_NS, "op=pay");
    scene.install(task("pay", &logs.path(), &[("h1", ADDRESS)])).await;
    let is_ok = |heard: &Heard| heard.state("h1", START_NS).is_some_and(HostState::is_ok);
    let heard = scene.until(&id("pay"), is_ok).await;
    assert_eq!(heard.records("h1", START_NS), 1);
    (scene, logs, server)
}

#[test]
fn lines_of_a_real_agents_log_become_cells() {
    run(async {
        let (scene, logs, _server) = counting().await;
        for millis in [100, 900, 1500, 2100, 2200, 2300] {
            logs.line(START_NS + millis * 1_000_000, "op=pay");
        }
        let proved = |heard: &Heard| heard.state("h1", START_NS + 5 * SECOND).is_some_and(HostState::is_ok);
        let heard = scene.until(&id("pay"), proved).await;
        let records = |second: i64| heard.records("h1", START_NS + second * SECOND);
        assert_eq!([0, 1, 2, 3].map(records), [3, 1, 3, 0]);
        let status = scene.node.status();
        assert!(
            status.bytes > 0 && status.records > 0 && status.pulls_failed == 0,
            "{status:?}"
        );
        scene.stop().await;
    });
}

/// Waits until windows say that the agent is gone, has it back, and waits until they are whole: ten seconds at most.
async fn check_heals(scene: &Scene, logs: &Logs, back: impl AsyncFnOnce() -> Option<Server>) {
    let gone_ns = scene.now_ns() / SECOND * SECOND;
    let unreachable = Some(HostState::Unreachable);
    let missing = |heard: &Heard| heard.state("h1", gone_ns + SECOND) == unreachable;
    let heard = scene.until(&id("pay"), missing).await;
    assert!(heard.detail(HostState::Unreachable).is_some());
    logs.line(gone_ns + 5 * SECOND, "op=pay");
    scene.clock.sleep(Duration::from_secs(33)).await;
    let _server = back().await;
    let back_ns = scene.now_ns() / SECOND * SECOND;
    let healed = |heard: &Heard| heard.state("h1", gone_ns + 30 * SECOND).is_some_and(HostState::is_ok);
    let heard = scene.until(&id("pay"), healed).await;
    let took_s = (scene.now_ns() - back_ns) / SECOND;
    assert!(took_s <= 10, "healed after {took_s} s");
    assert!(heard.state("h1", gone_ns + 5 * SECOND).is_some_and(HostState::is_ok));
    assert_eq!(heard.records("h1", gone_ns + 5 * SECOND), 1);
}

#[test]
fn an_agent_that_is_gone_is_unreachable_and_heals_when_it_is_back() {
    run(async {
        let (scene, logs, server) = counting().await;
        server.stop(Duration::ZERO).await;
        let back = async || Some(agent(&scene.clock, &scene.agents, logs.base()).await);
        check_heals(&scene, &logs, back).await;
        scene.stop().await;
    });
}

#[test]
fn an_agent_behind_a_cut_heals_when_it_is_mended() {
    run(async {
        let (scene, logs, _server) = counting().await;
        scene.agents.set_link(LinkState::Cut);
        let back = async || {
            scene.agents.set_link(LinkState::Up);
            None
        };
        check_heals(&scene, &logs, back).await;
        scene.stop().await;
    });
}

/// Takes questions and never answers.
struct Silent;

impl lika::node::Handler<AgentProtocol> for Silent {
    async fn handle(&self, _request: Request, _call: &mut Call<AgentProtocol>) -> Result<Answer, Refusal> {
        std::future::pending().await
    }
}

#[test]
fn an_agent_that_does_not_answer_is_a_timeout() {
    run(async {
        let (scene, logs) = (Scene::new(Limits::default()).await, Logs::new());
        let identity = Identity {
            role: agent::binding::ROLE.to_owned(),
            node: "h1".to_owned(),
            token: Token::new(OPEN_TOKEN).expect("long enough"),
        };
        let builder = ServerBuilder::new(
            identity,
            Settings::default(),
            scene.clock.clone(),
            Randomness::seeded(9),
        );
        let server = builder
            .serve::<AgentProtocol>(Silent)
            .listen(&scene.agents, ADDRESS)
            .await;
        let _server = server.expect("a free address");
        scene.install(task("pay", &logs.path(), &[("h1", ADDRESS)])).await;
        let told = |heard: &Heard| heard.state("h1", START_NS + 20 * SECOND).is_some();
        let heard = scene.until(&id("pay"), told).await;
        assert_eq!(heard.state("h1", START_NS + 20 * SECOND), Some(HostState::Timeout));
        let detail = heard.detail(HostState::Timeout).expect("it is there");
        assert!(detail.contains("did not answer within 5000 ms"), "{detail}");
        scene.stop().await;
    });
}

#[test]
fn many_agents_that_hang_keep_no_other_waiting() {
    run(async {
        let limits = Limits {
            pulls_max: 4,
            suspect_pulls_max: 2,
            ..Limits::default()
        };
        let (scene, logs) = (Scene::new(limits).await, Logs::new());
        let _server = agent(&scene.clock, &scene.agents, logs.base()).await;
        logs.line(START_NS, "op=pay");
        // They accept a connection and say nothing.
        let names: Vec<String> = (0..40).map(|number| format!("silent{number}:1")).collect();
        let mut silent = Vec::new();
        for name in &names {
            silent.push(scene.agents.listen(name).await.expect("a free address"));
        }
        let mut hosts: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &**name)).collect();
        hosts.push(("h1", ADDRESS));
        scene.install(task("pay", &logs.path(), &hosts)).await;
        let proved = |heard: &Heard| heard.state("h1", START_NS + 20 * SECOND).is_some_and(HostState::is_ok);
        let heard = scene.until(&id("pay"), proved).await;
        assert!(
            (scene.now_ns() - START_NS) / SECOND <= 23,
            "the healthy host is as fresh as ever"
        );
        assert_eq!(
            heard.state(&names[0], START_NS + 3 * SECOND),
            Some(HostState::Unreachable)
        );
        scene.stop().await;
    });
}

#[test]
fn agents_that_were_never_there_are_known_before_the_first_window_ends_and_keep_no_other_waiting() {
    run(async {
        let (scene, logs) = (Scene::new(Limits::default()).await, Logs::new());
        let _server = agent(&scene.clock, &scene.agents, logs.base()).await;
        logs.line(START_NS, "op=pay");
        let names: Vec<String> = (0..200).map(|number| format!("nobody{number}:1")).collect();
        let mut hosts: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &**name)).collect();
        hosts.push(("h1", ADDRESS));
        scene.install(task("pay", &logs.path(), &hosts)).await;
        let all_said = |heard: &Heard| hosts.iter().all(|(host, _)| heard.state(host, START_NS).is_some());
        let heard = scene.until(&id("pay"), all_said).await;
        let late_ms = (scene.now_ns() - START_NS - 2 * SECOND) / 1_000_000;
        assert!(late_ms <= 200, "{late_ms} ms behind the first window's grace");
        assert!(heard.state("h1", START_NS).is_some_and(HostState::is_ok));
        let is_masked = |name: &String| heard.state(name, START_NS) == Some(HostState::Unreachable);
        assert!(names.iter().all(is_masked));
        scene.clock.sleep(Duration::from_secs(60)).await;
        let dials = scene.dials.lock().expect("nobody panicked").clone();
        let is_hasty = |times: &Vec<i64>| times.windows(3).any(|three| three[2] - three[0] < SECOND);
        let hasty: Vec<_> = dials.iter().filter(|(_, times)| is_hasty(times)).collect();
        assert!(hasty.is_empty(), "{:?}", hasty.first());
        assert!(
            names.iter().all(|name| dials[name].len() > 20),
            "they are tried again and again"
        );
        scene.stop().await;
    });
}

#[test]
fn windows_are_read_anew_of_a_real_agent() {
    run(async {
        let (scene, logs, _server) = counting().await;
        logs.line(START_NS + SECOND, "op=pay");
        let request = crate::protocol::RereadRequest {
            id: id("another"),
            epoch: 1,
            definition: yaml("another", &logs.path()),
            hosts: vec![input("h1", ADDRESS).target, input("h2", "nobody:1").target],
            profiles: Vec::new(),
            from_ns: START_NS,
            to_ns: START_NS + SECOND,
        };
        let MapAnswer::Reread(reports) = scene.ask(MapRequest::Reread(request)).await else {
            panic!("not read anew");
        };
        let records = reports[0]
            .cells
            .iter()
            .map(|cell| (cell.window_ns, cell.partial.records));
        assert_eq!(records.collect::<Vec<_>>(), [(START_NS, 1)]);
        assert_eq!(reports[1].verdicts[0].state, HostState::Unreachable);
        scene.stop().await;
    });
}

/// More than one pull brings; what the budget leaves unread is said of its windows, and of no others.
#[test]
fn a_question_reads_no_more_than_its_budget_and_says_what_it_left() {
    run(async {
        let (scene, logs) = (Scene::new(Limits::default()).await, Logs::new());
        let _server = agent(&scene.clock, &scene.agents, logs.base()).await;
        let (lines, first_ns) = (220, START_NS - 400 * SECOND);
        let long = "x".repeat(200_000);
        (0..lines).for_each(|line| logs.line(first_ns + line * SECOND, &long));
        let ask = async |bytes_max| {
            let request = crate::protocol::AskRequest {
                definition: yaml("asked", &logs.path()),
                target: input("h1", ADDRESS).target,
                from_ns: first_ns,
                to_ns: first_ns + lines * SECOND,
                bytes_max,
                records: None,
            };
            match scene.ask(MapRequest::Ask(Box::new(request))).await {
                MapAnswer::Asked(asked) => *asked,
                other => panic!("{other:?}"),
            }
        };
        let whole = ask(u64::MAX).await;
        let runs = |asked: &crate::protocol::HostAsked| -> Vec<(i64, i64, HostState)> {
            let runs = asked.report.verdicts.iter();
            runs.map(|run| (run.from_ns, run.to_ns, run.state)).collect()
        };
        let records = |asked: &crate::protocol::HostAsked, before_ns| -> u64 {
            let cells = asked.report.cells.iter().filter(|cell| cell.window_ns < before_ns);
            cells.map(|cell| cell.partial.records).sum()
        };
        let end_ns = first_ns + lines * SECOND;
        assert_eq!(runs(&whole), [(first_ns, end_ns, HostState::Ok)]);
        assert_eq!(records(&whole, end_ns), lines as u64);
        assert!(whole.bytes >= lines as u64 * 200_000, "{}", whole.bytes);
        let part = ask(1).await;
        let told = runs(&part);
        assert!(part.bytes < whole.bytes && told.len() == 2, "{} {told:?}", part.bytes);
        let (edge_ns, state) = (told[0].1, told[0].2);
        assert_eq!((told[0].0, state), (first_ns, HostState::Ok));
        assert_eq!(told[1], (edge_ns, end_ns, HostState::OverBudget));
        assert_eq!(records(&part, edge_ns), ((edge_ns - first_ns) / SECOND) as u64);
        scene.stop().await;
    });
}

#[test]
fn a_hosts_own_figures_are_sampled_once_a_window() {
    run(async {
        let (scene, logs) = (Scene::new(Limits::default()).await, Logs::new());
        let server = agent(&scene.clock, &scene.agents, logs.base()).await;
        let mut figures = task("system", "", &[("h1", ADDRESS)]);
        figures.definition = Definition::System;
        scene.install(figures).await;
        let fourth_ns = START_NS + 15 * SECOND;
        let heard = scene
            .until(&id("system"), |heard| heard.state("h1", fourth_ns).is_some())
            .await;
        // One sample a window: one record of the host, and one of each mount.
        for number in 0..4 {
            let window_ns = START_NS + number * system::WINDOW_NS;
            assert_eq!(heard.state("h1", window_ns), Some(HostState::Ok));
            let cells = heard.cells.iter().filter(|((_, window, _), _)| *window == window_ns);
            let samples: Vec<u64> = cells.map(|(_, cell)| cell.version.read_to).collect();
            assert_eq!(samples, [1]);
            assert!(heard.records("h1", window_ns) >= 1);
        }
        // Spoken of as soon as the grace is past.
        assert!(scene.now_ns() - (fourth_ns + 6 * SECOND) < SECOND / 5);
        server.stop(Duration::ZERO).await;
        let gone = |heard: &Heard| heard.state("h1", START_NS + 60 * SECOND).is_some();
        let heard = scene.until(&id("system"), gone).await;
        assert_eq!(heard.state("h1", START_NS + 60 * SECOND), Some(HostState::Unreachable));
        let _server = agent(&scene.clock, &scene.agents, logs.base()).await;
        let back_ns = scene.now_ns();
        let back =
            |heard: &Heard| heard.state("h1", back_ns / SECOND / 5 * 5 * SECOND + 10 * SECOND) == Some(HostState::Ok);
        scene.until(&id("system"), back).await;
        scene.stop().await;
    });
}

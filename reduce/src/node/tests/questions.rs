//! Questions to logs: told as hosts answer, cancelled by who asked, within their budget, past a Map that is lost.

use super::*;
use crate::protocol::{AskedEnd, AskedPart, LogQuestion};
use crate::publish::Facts;
use crate::stored::{StoredHeader, decode};
use lika::node::{Answer, Answered};
use map::protocol::{AskRequest, HostAsked};

/// What a Map answers of a host.
#[derive(Debug, Clone)]
pub(super) enum Script {
    /// So many records in the first window, and so many bytes for it.
    Counts(u64, u64),
    /// Why it could not be asked.
    Trouble(HostState),
}

/// Notes that a host is asked, for as long as it is.
struct Asking(Puppet, String);

impl Drop for Asking {
    fn drop(&mut self) {
        let Self(puppet, host) = self;
        puppet.state().asking.retain(|asking| asking != host);
    }
}

impl Puppet {
    /// Answers a question as it is told; never, if it is told nothing.
    pub(super) async fn asked(&self, request: AskRequest) -> MapAnswer {
        let host = request.target.host.clone();
        self.state().asking.push(host.clone());
        let _asking = Asking(self.clone(), host.clone());
        let script = loop {
            let changed = self.changed.notified();
            if let Some(script) = self.state().asked.get(&host).cloned() {
                break script;
            }
            changed.await;
        };
        let (from_ns, to_ns) = (request.from_ns, request.to_ns);
        let (cells, state, bytes) = match script {
            Script::Counts(records, bytes) => {
                assert!(request.bytes_max > 0, "a host without a budget is not asked");
                (vec![cell(&shape(), from_ns, 1, 1, records)], Counted, bytes)
            }
            Script::Trouble(state) => (Vec::new(), state, 0),
        };
        let report = report(&host, cells, vec![run(from_ns, to_ns, state, Settled)]);
        MapAnswer::Asked(Box::new(HostAsked { report, bytes }))
    }

    fn answer_of(&self, host: &str, script: Script) {
        self.state().asked.insert(host.to_owned(), script);
        self.changed.notify_waiters();
    }
}

fn question(hosts: &[&str], bytes_max: u64) -> ReduceRequest {
    let task = task(1, hosts);
    ReduceRequest::Ask(Box::new(LogQuestion {
        definition: task.definition,
        from_ns: ns(-20),
        to_ns: ns(-18),
        inventory: task.inventory,
        place: task.place,
        bytes_max,
        records: None,
    }))
}

impl Scene {
    async fn question(&self, request: &ReduceRequest) -> Answer<ReduceProtocol> {
        self.brain.stream(request, PATIENCE, 4).await.expect("it is asked")
    }
}

async fn part(answer: &mut Answer<ReduceProtocol>) -> AskedPart {
    match answer.next().await.expect("an answer") {
        Answered::Part(part) => part,
        Answered::End(end) => panic!("{end:?}"),
    }
}

/// The facts of a part's first window, and its records.
fn first(part: &AskedPart) -> (Facts, u64) {
    let window = &part.windows[0];
    let header: StoredHeader = decode("header", &window.header).expect("it reads");
    (header.facts(window.fence.revision), header.records)
}

/// All parts to the end.
async fn rest(mut answer: Answer<ReduceProtocol>) -> (Vec<AskedPart>, ReduceAnswer) {
    let mut parts = Vec::new();
    loop {
        match answer.next().await.expect("an answer") {
            Answered::Part(part) => parts.push(part),
            Answered::End(end) => return (parts, end),
        }
    }
}

#[test]
fn completeness_rises_as_hosts_answer() {
    play(async |scene| {
        let mut answer = scene.question(&question(&["a", "b"], u64::MAX)).await;
        let none = part(&mut answer).await;
        assert_eq!((none.progress.answered, none.progress.hosts), (0, 2));
        let (facts, records) = first(&none);
        assert_eq!((facts.hosts.ok, records, facts.state), (0, 0, WindowState::Open));
        scene.map.answer_of("a", Script::Counts(4, 10));
        let one = part(&mut answer).await;
        let (facts, records) = first(&one);
        assert_eq!((facts.hosts.ok, records, facts.state), (1, 6, WindowState::Open));
        scene.map.answer_of("b", Script::Trouble(Unreachable));
        let (parts, end) = rest(answer).await;
        assert_eq!(end, ReduceAnswer::Asked(AskedEnd::Done));
        let last = parts.last().expect("a last part");
        let (facts, records) = first(last);
        assert_eq!((facts.hosts.percent(), records), (Some(50), 6));
        assert_eq!(facts.hosts.missing, BTreeMap::from([(Unreachable, 1)]));
        assert_eq!((last.progress.bytes, last.windows.len(), last.is_whole), (10, 2, true));
        assert_eq!((last.troubles[0].host.as_str(), last.troubles[0].windows), ("b", 2));
    });
}

#[test]
fn who_stops_listening_has_cancelled_it() {
    play(async |scene| {
        let hosts: Vec<String> = (0..9).map(|host| format!("h{host}")).collect();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let answer = scene.question(&question(&hosts, u64::MAX)).await;
        scene
            .until("some hosts are asked", async |scene| {
                scene.map.state().asking.len() == 3
            })
            .await;
        drop(answer);
        scene
            .until("none is asked any more", async |scene| {
                scene.map.state().asking.is_empty()
            })
            .await;
    });
}

#[test]
fn over_its_budget_hosts_are_named_and_not_asked() {
    play(async |scene| {
        for host in ["a", "b", "c"] {
            scene.map.answer_of(host, Script::Counts(2, 100));
        }
        let (parts, _) = rest(scene.question(&question(&["a", "b", "c"], 150)).await).await;
        let last = parts.last().expect("a last part");
        let (facts, records) = first(last);
        assert_eq!((facts.hosts.ok, records), (2, 6));
        assert_eq!(facts.hosts.missing, BTreeMap::from([(HostState::OverBudget, 1)]));
        assert_eq!(last.progress.bytes, 200);
    });
}

#[test]
fn more_questions_than_may_be_are_turned_away() {
    play(async |scene| {
        let request = question(&["a"], u64::MAX);
        let mut answers = Vec::new();
        for _ in 0..4 {
            let mut answer = scene.question(&request).await;
            part(&mut answer).await;
            answers.push(answer);
        }
        let (parts, end) = rest(scene.question(&request).await).await;
        assert_eq!((parts.len(), end), (0, ReduceAnswer::Asked(AskedEnd::Busy)));
        answers.pop();
        scene.map.answer_of("a", Script::Counts(1, 1));
        scene
            .until("there is room again", async |scene| {
                rest(scene.question(&request).await).await.1 == ReduceAnswer::Asked(AskedEnd::Done)
            })
            .await;
    });
}

#[test]
fn hosts_of_a_map_that_is_lost_are_asked_by_another() {
    play(async |scene| {
        scene.map.answer_of("a", Script::Counts(2, 1));
        let ReduceRequest::Ask(mut question) = question(&["a"], u64::MAX) else {
            panic!("a question");
        };
        // Nobody listens there: whichever Map has the host, it is the other one that answers.
        question.place.maps.push(map_node("map-0", "nowhere:1"));
        question.place.maps.push(map_node("map-2", "nowhere:2"));
        let (parts, _) = rest(scene.question(&ReduceRequest::Ask(question)).await).await;
        let (facts, records) = first(parts.last().expect("a last part"));
        assert_eq!((facts.hosts.percent(), records), (Some(100), 3));
    });
}

#[test]
fn what_cannot_be_asked_is_invalid() {
    play(async |scene| {
        let ReduceRequest::Ask(asked) = question(&["a"], 1) else {
            panic!("a question");
        };
        for (wrong, part) in [
            (
                LogQuestion {
                    from_ns: ns(-20) + 1,
                    ..(*asked).clone()
                },
                "where windows do",
            ),
            (
                LogQuestion {
                    from_ns: ns(-9_000),
                    ..(*asked).clone()
                },
                "longer `every`",
            ),
            (
                LogQuestion {
                    definition: Definition::Yaml("x".to_owned()),
                    ..(*asked).clone()
                },
                "",
            ),
        ] {
            match rest(scene.question(&ReduceRequest::Ask(Box::new(wrong))).await).await {
                (parts, ReduceAnswer::Asked(AskedEnd::Invalid(why))) => {
                    assert!(parts.is_empty() && why.contains(part), "{why}");
                }
                other => panic!("{other:?}"),
            }
        }
    });
}

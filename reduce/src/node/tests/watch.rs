//! Maps that die, come back, were never there, or say nothing: their hosts are counted elsewhere, and no Brain is
//! asked.

use super::*;
use crate::placement;
use crate::protocol::NodeLife;
use std::collections::BTreeSet;
use tokio::sync::watch;

const HOSTS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// A second Map beside the scene's own.
struct Second {
    puppet: Puppet,
    /// Whether it runs: what it is asked while it does not, it answers when it does again.
    runs: watch::Sender<bool>,
    server: Option<Server>,
}

struct Stoppable(PuppetHandler, watch::Receiver<bool>);

impl Handler<MapProtocol> for Stoppable {
    async fn handle(&self, request: MapRequest, call: &mut Call<MapProtocol>) -> Result<MapAnswer, Refusal> {
        let mut runs = self.1.clone();
        runs.wait_for(|runs| *runs).await.map(drop).expect("the test goes on");
        self.0.handle(request, call).await
    }
}

impl Second {
    async fn start(scene: &Scene) -> Self {
        let mut second = Self {
            puppet: Puppet::default(),
            runs: watch::Sender::new(true),
            server: None,
        };
        second.listen(scene).await;
        second
    }

    /// Listens as soon as its address is free.
    async fn listen(&mut self, scene: &Scene) {
        while self.server.is_none() {
            let (clock, randomness) = (scene.clock.clone(), scene.randomness.clone());
            let builder = ServerBuilder::new(identity("map"), Settings::default(), clock, randomness);
            let handler = PuppetHandler(self.puppet.clone(), scene.clock.clone());
            let handler = Stoppable(handler, self.runs.subscribe());
            let server = builder.serve::<MapProtocol>(handler);
            self.server = server.listen(&scene.network, "map:2").await.ok();
            scene.clock.sleep(Duration::from_millis(1)).await;
        }
    }

    fn installs(&self) -> usize {
        self.puppet.state().installs.len()
    }
}

fn of_two_maps(hosts: &[&str]) -> MonitorTask {
    let mut task = task(1, hosts);
    task.place.maps = vec![map_node("map-1", "map:1"), map_node("map-2", "map:2")];
    task
}

/// The hosts that a Map was told last.
fn told(puppet: &Puppet) -> BTreeSet<String> {
    let state = puppet.state();
    let inputs = state.tasks.values().flat_map(|task| &task.inputs);
    inputs.map(|input| input.target.host.clone()).collect()
}

/// The hosts that should be on the first and on the second Map while both live.
fn shares(task: &MonitorTask) -> [BTreeSet<String>; 2] {
    let maps: Vec<&MapNode> = task.place.maps.iter().collect();
    let shards = placement::shards(&task.place, &task.inventory[0].hosts, &maps);
    ["map-1", "map-2"].map(|map| {
        let of_map = shards.iter().filter(|shard| shard.map.node == map);
        of_map.flat_map(|shard| shard.hosts.iter().cloned()).collect()
    })
}

fn all() -> BTreeSet<String> {
    HOSTS.map(str::to_owned).into()
}

#[test]
fn a_map_that_dies_loses_its_hosts_and_gets_them_back_when_it_has_answered_for_a_while() {
    play(async |mut stage| {
        let second = Second::start(&stage).await;
        let task = of_two_maps(&HOSTS);
        let [firsts, seconds] = shares(&task);
        assert!(!firsts.is_empty() && !seconds.is_empty(), "both have hosts");
        stage.install(task).await;
        stage
            .until("both have their shares", async |stage| {
                (told(&stage.map), told(&second.puppet)) == (firsts.clone(), seconds.clone())
            })
            .await;
        for host in &seconds {
            second.puppet.say(say(host, 0, 0, Counted, Settled));
        }
        // What the first counts it takes with it: the second reads it again.
        stage.map_server = None;
        stage
            .until("all are on the second", async |_| told(&second.puppet) == all())
            .await;
        for host in &firsts {
            second.puppet.say(say(host, 0, 2, Counted, Settled));
        }
        let states: Vec<HostState> = HOSTS
            .iter()
            .map(|host| if firsts.contains(*host) { Counted } else { OkSilent })
            .collect();
        stage
            .until_window(0, WindowState::Settled, &states, 3 * firsts.len() as u64)
            .await;
        let seen = stage.status().await;
        let lives: Vec<NodeLife> = seen.maps.iter().map(|map| map.life).collect();
        assert_eq!(lives, [NodeLife::Dead, NodeLife::Live]);
        assert!(seen.maps[0].why.is_some());
        assert_eq!(seen.monitors[0].shards.len(), 1, "{:?}", seen.monitors[0].shards);
        stage.map.forget();
        stage.start_map().await;
        stage
            .until("the first has its share again", async |stage| {
                (told(&stage.map), told(&second.puppet)) == (firsts.clone(), seconds.clone())
            })
            .await;
        assert_eq!(stage.header(0).expect("a header").records, 3 * firsts.len() as u64);
    });
}

#[test]
fn a_map_that_was_never_there_is_masked_before_the_window_is_judged() {
    play(async |stage| {
        let task = of_two_maps(&HOSTS);
        stage.install(task).await;
        stage
            .until("all are on the one that is there", async |stage| {
                told(&stage.map) == all()
            })
            .await;
        // Hosts are given up as silent eight seconds after a window's grace.
        assert!(
            stage.clock.wall().0 < ns(5),
            "{}",
            (stage.clock.wall().0 - ns(0)) / SECOND_NS
        );
        assert!(stage.header(0).is_none_or(|header| header.state == WindowState::Open));
    });
}

#[test]
fn a_map_that_answers_and_says_nothing_of_its_hosts_is_avoided() {
    play(async |stage| {
        let second = Second::start(&stage).await;
        let task = of_two_maps(&HOSTS);
        let [firsts, _] = shares(&task);
        stage.install(task).await;
        let at_s = |stage: &Scene| (stage.clock.wall().0 - ns(0)) / SECOND_NS;
        let mut spoken_s = 0;
        stage
            .until("the second has all", async |stage| {
                // The second has a word on its hosts each second, the first never.
                if at_s(stage) > spoken_s {
                    spoken_s = at_s(stage);
                    let hosts = told(&second.puppet);
                    hosts
                        .iter()
                        .for_each(|host| second.puppet.say(say(host, spoken_s - 1, 0, Counted, Settled)));
                }
                told(&second.puppet) == all()
            })
            .await;
        assert!(at_s(&stage) > 60 && !firsts.is_empty());
        let troubles = stage.monitor().await.troubles;
        assert!(
            troubles.iter().any(|trouble| trouble.contains("map:1 said nothing")),
            "{troubles:?}"
        );
        // It lives all the same, and is asked again later.
        assert_eq!(stage.status().await.maps[0].life, NodeLife::Live);
    });
}

/// Has both Maps installed.
async fn of_both(stage: &Scene, second: &Second) -> [BTreeSet<String>; 2] {
    let task = of_two_maps(&HOSTS);
    let shares = shares(&task);
    stage.install(task).await;
    stage
        .until("both have their shares", async |stage| {
            [told(&stage.map), told(&second.puppet)] == shares
        })
        .await;
    shares
}

#[test]
fn a_stopped_map_that_wakes_up_changes_nothing() {
    play(async |stage| {
        let second = Second::start(&stage).await;
        let [firsts, seconds] = of_both(&stage, &second).await;
        second.runs.send_replace(false);
        // What it had read so far, and nobody has heard.
        for host in &seconds {
            second.puppet.say(say(host, 0, 1, Counted, Provisional));
        }
        stage
            .until("all are on the first", async |stage| told(&stage.map) == all())
            .await;
        for host in HOSTS {
            stage.map.say(say(host, 0, 2, Counted, Settled));
        }
        let records = 3 * HOSTS.len() as u64;
        stage
            .until_window(0, WindowState::Settled, &[Counted; HOSTS.len()], records)
            .await;
        let revisions = |stage: &Scene| {
            let kept = stage.store.kept();
            kept.history.iter().filter(|(start_ns, ..)| *start_ns == ns(0)).count()
        };
        let before = revisions(&stage);
        second.runs.send_replace(true);
        stage
            .until("it has its share again, and has said what it had", async |stage| {
                let is_heard = second.puppet.state().pending.is_empty();
                is_heard && [told(&stage.map), told(&second.puppet)] == [firsts.clone(), seconds.clone()]
            })
            .await;
        stage.clock.sleep(Duration::from_secs(5)).await;
        assert_eq!(revisions(&stage), before);
        assert_eq!(stage.header(0).expect("a header").records, records);
    });
}

#[test]
fn a_map_that_flaps_is_left_alone_until_it_has_answered_for_a_while() {
    play(async |stage| {
        let mut second = Second::start(&stage).await;
        let [_, seconds] = of_both(&stage, &second).await;
        for _ in 0..8 {
            second.server = None;
            second.puppet.forget();
            stage.clock.sleep(Duration::from_secs(5)).await;
            second.listen(&stage).await;
            stage.clock.sleep(Duration::from_secs(6)).await;
        }
        // Rests of 2 and 4 s end while it is there, those of 8 s and more do not.
        assert_eq!(second.installs(), 3);
        stage
            .until("it has its share again", async |_| told(&second.puppet) == seconds)
            .await;
        assert_eq!(second.installs(), 4);
    });
}

#[test]
fn maps_are_not_blamed_for_a_store_that_is_away() {
    play(async |stage| {
        let second = Second::start(&stage).await;
        let [firsts, _] = of_both(&stage, &second).await;
        stage.store.kept().is_broken = true;
        for host in HOSTS {
            let puppet = if firsts.contains(host) {
                &stage.map
            } else {
                &second.puppet
            };
            puppet.say(say(host, 0, 2, Counted, Settled));
        }
        stage.clock.sleep(Duration::from_secs(95)).await;
        let troubles = stage.monitor().await.troubles;
        let is_said = |text: &str| troubles.iter().any(|trouble| trouble.contains(text));
        assert!(is_said("told to") && !is_said("said nothing"), "{troubles:?}");
        stage.store.kept().is_broken = false;
        let records = 3 * HOSTS.len() as u64;
        stage
            .until_window(0, WindowState::Settled, &[Counted; HOSTS.len()], records)
            .await;
        assert_eq!((stage.map.state().installs.len(), second.installs()), (1, 1));
    });
}

#[test]
fn a_call_of_the_store_that_never_returns_is_given_up_and_made_again() {
    play(async |stage| {
        stage.install(task(1, &["a"])).await;
        stage
            .until("it is installed", async |stage| !stage.map.state().tasks.is_empty())
            .await;
        stage.store.kept().is_hung = true;
        stage.map.say(say("a", 0, 2, Counted, Settled));
        stage
            .until("it is said", async |stage| {
                let troubles = stage.monitor().await.troubles;
                troubles
                    .iter()
                    .any(|trouble| trouble.contains("did not answer in 40 s"))
            })
            .await;
        assert_eq!(stage.map.state().acked, 0);
        stage.store.kept().is_hung = false;
        stage.until_window(0, WindowState::Settled, &[Counted], 3).await;
        stage
            .until("it is acknowledged", async |stage| stage.map.state().acked == 1)
            .await;
    });
}

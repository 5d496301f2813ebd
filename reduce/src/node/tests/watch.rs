//! Maps that die, come back, were never there, or say nothing: their hosts are counted elsewhere, and no Brain is
//! asked.

use super::*;
use crate::placement;
use crate::protocol::NodeLife;
use std::collections::BTreeSet;

const HOSTS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// A second Map beside the scene's own.
struct Second {
    puppet: Puppet,
    _server: Server,
}

impl Second {
    async fn start(scene: &Scene) -> Self {
        let puppet = Puppet::default();
        let builder = ServerBuilder::new(
            identity("map"),
            Settings::default(),
            scene.clock.clone(),
            scene.randomness.clone(),
        );
        let handler = PuppetHandler(puppet.clone(), scene.clock.clone());
        let server = builder
            .serve::<MapProtocol>(handler)
            .listen(&scene.network, "map:2")
            .await;
        Self {
            puppet,
            _server: server.expect("listens"),
        }
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

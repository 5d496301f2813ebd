//! What is done to the cluster when: drawn from a seed, round by round.
//!
//! A round lasts a minute and holds every kind of fault once; who it meets, and the order of the kills, is drawn. Bytes
//! are destroyed only while every Map has looked for some seconds, and looks on for some: that a truncation which
//! nobody watches reads as silence is known, and said in the contract.

use crate::hosts::Stroke;
use std::collections::BTreeSet;
use std::time::Duration;
use sunfire_tests::generator::scramble;

/// How long a round lasts.
pub const ROUND: Duration = Duration::from_secs(60);
/// How long a stopped process is stopped.
const STOPPED: Duration = Duration::from_secs(20);

/// A role whose processes are killed and stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// One of the agents.
    Agent,
    /// One of the Maps.
    Map,
    /// One of the Reduces.
    Reduce,
    /// The Brain.
    Brain,
    /// The console, with the store.
    Console,
}

impl Role {
    /// As files and subcommands have it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Agent => "agent",
            Role::Map => "map",
            Role::Reduce => "reduce",
            Role::Brain => "brain",
            Role::Console => "console",
        }
    }
}

/// Something that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL, and started again so much later.
    Kill(Role, String, Duration),
    /// SIGSTOP, and SIGCONT so much later.
    Stop(Role, String, Duration),
    /// Something is done to a host's log.
    Strike(Stroke, String),
    /// The spare host is listed.
    Join,
    /// A host is listed no more.
    Leave(String),
}

/// A fault and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// From the start of the run.
    pub at: Duration,
    /// What is done.
    pub fault: Fault,
}

/// Who there is to be met.
#[derive(Debug, Clone)]
pub struct Targets {
    /// Hosts that write in the ordinary way.
    pub hosts: Vec<String>,
    /// The Maps.
    pub maps: Vec<String>,
    /// The Reduces.
    pub reduces: Vec<String>,
    /// The Brain.
    pub brain: String,
    /// The console.
    pub console: String,
}

/// Chance by a seed.
struct Random(u64, u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.1 += 1;
        usize::try_from(scramble(self.0 ^ scramble(self.1)) % (bound as u64)).unwrap_or(0)
    }

    fn of<'t>(&mut self, list: &'t [String]) -> &'t String {
        &list[self.below(list.len())]
    }

    /// A host that nothing was done to in this round.
    fn fresh(&mut self, hosts: &[String], used: &mut BTreeSet<String>) -> String {
        let left: Vec<String> = hosts.iter().filter(|host| !used.contains(*host)).cloned().collect();
        let chosen = self.of(if left.is_empty() { hosts } else { &left }).clone();
        used.insert(chosen.clone());
        chosen
    }
}

/// All that is done in a run of so many rounds.
pub fn plan(rounds: u32, seed: u64, targets: &Targets) -> Vec<Event> {
    let mut random = Random(seed, 0);
    let mut listed = targets.hosts.clone();
    let mut events: Vec<Event> = (0..rounds)
        .flat_map(|round| one_round(round, &mut random, targets, &mut listed))
        .collect();
    events.sort_by_key(|event| event.at);
    events
}

fn one_round(round: u32, random: &mut Random, targets: &Targets, listed: &mut Vec<String>) -> Vec<Event> {
    let began = ROUND * round;
    let mut used = BTreeSet::new();
    let mut events = Vec::new();
    let mut add = |second: u64, random: &mut Random, fault: Fault| {
        let jitter = Duration::from_millis(random.below(900) as u64);
        let at = began + Duration::from_secs(second) + jitter;
        events.push(Event { at, fault });
    };
    let s = Duration::from_secs;
    let away = random.fresh(listed, &mut used);
    add(1, random, Fault::Kill(Role::Agent, away.clone(), s(8)));
    add(4, random, Fault::Strike(Stroke::RotateAndRemove, away));
    let emptied = random.fresh(listed, &mut used);
    add(6, random, Fault::Strike(Stroke::Truncate, emptied));
    let twice = random.fresh(listed, &mut used);
    add(8, random, Fault::Strike(Stroke::RotateTwice, twice));
    if round == 0 {
        add(10, random, Fault::Join);
    }
    // One role is stopped in each round; the Reduces first, whose waking up must change nothing.
    let stopped = [Role::Reduce, Role::Map, Role::Agent, Role::Brain, Role::Console][round as usize % 5];
    let who = match stopped {
        Role::Reduce => random.of(&targets.reduces).clone(),
        Role::Map => random.of(&targets.maps).clone(),
        Role::Agent => random.fresh(listed, &mut used),
        Role::Brain => targets.brain.clone(),
        Role::Console => targets.console.clone(),
    };
    add(19, random, Fault::Stop(stopped, who, STOPPED));
    let copied = random.fresh(listed, &mut used);
    add(20, random, Fault::Strike(Stroke::CopyTruncate, copied));
    // The others are renamed at any time.
    let others: Vec<String> = listed.iter().filter(|host| !used.contains(*host)).cloned().collect();
    for host in others {
        let second = 5 + random.below(50) as u64;
        add(second, random, Fault::Strike(Stroke::Rotate, host));
    }
    // The Brain is away when what was stopped wakes up: nobody tells a deposed Reduce at once that it is one. In every
    // other round a Map is killed with it.
    add(38, random, Fault::Kill(Role::Brain, targets.brain.clone(), s(3)));
    let map = random.of(&targets.maps).clone();
    let second = if round.is_multiple_of(2) { 43 } else { 38 };
    add(second, random, Fault::Kill(Role::Map, map, s(6)));
    // While the store is away, what a Reduce has collected last goes with it. It is one collection, since a Reduce that
    // waits for the store collects nothing: so it is done twice.
    for (store, away, reduces, back) in [(11, 3, 12, 3), (48, 4, 50, 6)] {
        add(
            store,
            random,
            Fault::Kill(Role::Console, targets.console.clone(), s(away)),
        );
        for reduce in &targets.reduces {
            add(reduces, random, Fault::Kill(Role::Reduce, reduce.clone(), s(back)));
        }
    }
    if listed.len() > 6 && round.is_multiple_of(2) {
        let gone = random.fresh(listed, &mut used);
        listed.retain(|host| *host != gone);
        add(57, random, Fault::Leave(gone));
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets() -> Targets {
        let names = |stem: &str, count: usize| (1..=count).map(|number| format!("{stem}-{number}")).collect();
        Targets {
            hosts: names("web", 8),
            maps: names("map", 3),
            reduces: names("reduce", 2),
            brain: "brain".to_owned(),
            console: "console".to_owned(),
        }
    }

    #[test]
    fn a_seed_is_a_plan_and_five_rounds_stop_every_role() {
        assert_eq!(plan(5, 7, &targets()), plan(5, 7, &targets()));
        assert_ne!(plan(5, 7, &targets()), plan(5, 8, &targets()));
        let events = plan(5, 7, &targets());
        let stopped: BTreeSet<Role> = events
            .iter()
            .filter_map(|event| match &event.fault {
                Fault::Stop(role, ..) => Some(*role),
                _ => None,
            })
            .collect();
        assert_eq!(stopped.len(), 5);
        for round in 0..5 {
            let within = ROUND * round..ROUND * (round + 1);
            let kills = events
                .iter()
                .filter(|event| within.contains(&event.at) && matches!(event.fault, Fault::Kill(..)));
            assert_eq!(kills.count(), 9, "round {round}");
        }
    }

    #[test]
    fn bytes_are_destroyed_only_while_maps_look_on() {
        for event in plan(9, 3, &targets()) {
            if let Fault::Strike(Stroke::Truncate | Stroke::RotateAndRemove, _) = event.fault {
                let second = event.at.as_secs() % ROUND.as_secs();
                assert!((4..9).contains(&second), "{event:?}");
            }
        }
    }
}

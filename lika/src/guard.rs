//! Whether a peer lives: the death watch that an upstream keeps over each of its downstreams.
//!
//! A [`Guard`] is a value without a clock or a network. Whoever drives it says how the connection stands, when a
//! question was answered, and what time it is. A process that is gone shows in its connection, one that is stopped or
//! hangs in its silence; which of them it is makes no difference to what must be done, but it does to whoever reads the
//! reason.
//!
//! Coming back takes longer than going: a peer must have answered steadily for a while, and for longer each time, so
//! that a flapping link does not move work to and fro (Hayashibara and others, "The φ accrual failure detector", 2004,
//! on why a detector should not decide by a single heartbeat; here the costs of moving are what is bounded).

use crate::node::ClientState;
use crate::seam::Monotonic;
use std::time::Duration;

/// When a peer is taken for dead, and when it is trusted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// A connection that could not be had for so long: the process is gone, or was never there.
    pub lost_after: Duration,
    /// No question answered for so long, whatever the connection does: it is stopped, or hangs.
    pub silent_after: Duration,
    /// How long it must answer after its first death before it is trusted again; doubled by each further death.
    pub rest: Duration,
    /// The longest such time.
    pub rest_max: Duration,
    /// A life of so long makes its deaths forgotten.
    pub forgive_after: Duration,
    /// A judge who did not judge for so long was stopped itself.
    pub pause_after: Duration,
}

impl Default for Policy {
    /// 3 s without a connection, 8 s without an answer, 2 s of rest up to 60 s, forgiven after 10 min; to be judged at
    /// least every 3 s.
    fn default() -> Self {
        Self {
            lost_after: Duration::from_secs(3),
            silent_after: Duration::from_secs(8),
            rest: Duration::from_secs(2),
            rest_max: Duration::from_secs(60),
            forgive_after: Duration::from_secs(600),
            pause_after: Duration::from_secs(3),
        }
    }
}

/// How a peer is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Life {
    /// It has not answered yet, and there was not time enough to wonder.
    Unknown,
    /// It answers.
    Live,
    /// It does not, and why that is thought.
    Dead(String),
}

/// The watch over one peer.
#[derive(Debug, Clone)]
pub struct Guard {
    policy: Policy,
    life: Life,
    began: Monotonic,
    /// Since when there is no connection, and why.
    lost: Option<(Monotonic, String)>,
    /// The last answer.
    heard: Option<Monotonic>,
    /// The first answer of those that came without a death or a lost connection in between.
    steady: Option<Monotonic>,
    revived: Option<Monotonic>,
    deaths: u32,
    judged: Monotonic,
}

impl Guard {
    /// A watch that begins now.
    pub fn new(policy: Policy, now: Monotonic) -> Self {
        Self {
            policy,
            life: Life::Unknown,
            began: now,
            lost: None,
            heard: None,
            steady: None,
            revived: None,
            deaths: 0,
            judged: now,
        }
    }

    /// How the peer is taken.
    pub fn life(&self) -> &Life {
        &self.life
    }

    /// Whether work is given to it: while nothing speaks against it.
    pub fn may_work(&self) -> bool {
        !matches!(self.life, Life::Dead(_))
    }

    /// How the connection stands now.
    pub fn sees(&mut self, connection: &ClientState, now: Monotonic) {
        match connection {
            ClientState::Connected(_) => self.lost = None,
            ClientState::Connecting => {}
            ClientState::Disconnected { why, .. } => self.loses(why, now),
            ClientState::Closed => self.loses("the connection was closed", now),
        }
    }

    fn loses(&mut self, why: &str, now: Monotonic) {
        let since = self.lost.take().map_or(now, |(since, _)| since);
        self.lost = Some((since, why.to_owned()));
        self.steady = None;
    }

    /// A question was answered, by whatever answer.
    pub fn hears(&mut self, now: Monotonic) {
        self.heard = Some(now);
        self.steady.get_or_insert(now);
    }

    /// Judges anew; whether that changed anything.
    pub fn judge(&mut self, now: Monotonic) -> bool {
        self.overlook_own_pause(now);
        let new = match (self.trouble(now), &self.life) {
            (Some(_), Life::Dead(_)) => return false,
            (Some(why), Life::Unknown | Life::Live) => {
                let is_forgiven = |revived| now.since(revived) >= self.policy.forgive_after;
                if self.revived.is_some_and(is_forgiven) {
                    self.deaths = 0;
                }
                self.deaths = self.deaths.saturating_add(1);
                self.steady = None;
                Life::Dead(why)
            }
            (None, Life::Live) => return false,
            (None, Life::Unknown) if self.heard.is_none() => return false,
            (None, Life::Dead(_)) if !self.is_rested(now) => return false,
            (None, Life::Unknown | Life::Dead(_)) => {
                self.revived = Some(now);
                Life::Live
            }
        };
        self.life = new;
        true
    }

    /// Whoever was stopped itself has heard nothing meanwhile, and may not hold that against others.
    fn overlook_own_pause(&mut self, now: Monotonic) {
        let pause = now.since(std::mem::replace(&mut self.judged, now));
        if pause < self.policy.pause_after {
            return;
        }
        let later = |at: &mut Monotonic| *at = at.after(pause);
        self.heard.iter_mut().for_each(later);
        self.lost.iter_mut().for_each(|(since, _)| later(since));
        self.steady = None;
        later(&mut self.began);
    }

    fn trouble(&self, now: Monotonic) -> Option<String> {
        let Policy {
            lost_after,
            silent_after,
            ..
        } = self.policy;
        if let Some((since, why)) = self.lost.as_ref().filter(|(since, _)| now.since(*since) >= lost_after) {
            return Some(format!("no connection for {} s: {why}", now.since(*since).as_secs()));
        }
        let silence = now.since(self.heard.unwrap_or(self.began));
        (silence >= silent_after).then(|| format!("no answer for {} s", silence.as_secs()))
    }

    fn is_rested(&self, now: Monotonic) -> bool {
        let doublings = self.deaths.saturating_sub(1).min(16);
        let rest = self
            .policy
            .rest
            .saturating_mul(1 << doublings)
            .min(self.policy.rest_max);
        self.steady.is_some_and(|steady| now.since(steady) >= rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Monotonic {
        Monotonic::from_nanos(ms * 1_000_000)
    }

    fn refused() -> ClientState {
        ClientState::Disconnected {
            failures: 1,
            why: "connection refused".to_owned(),
        }
    }

    /// Lives through the stretches given, each up to a second with an answer each 500 ms or without, connected or not;
    /// gives back when it died (`-`) and came to life (`+`), in seconds.
    #[track_caller]
    fn check(stretches: &[(u64, &str)], expected: &[&str]) {
        let mut guard = Guard::new(Policy::default(), at(0));
        let (mut seen, mut now_ms) = (Vec::new(), 0);
        for (until_s, state) in stretches {
            while now_ms < until_s * 1000 {
                now_ms += 500;
                match *state {
                    "answers" => {
                        guard.lost = None;
                        guard.hears(at(now_ms));
                    }
                    "silent" => guard.lost = None,
                    "refused" => guard.sees(&refused(), at(now_ms)),
                    other => panic!("{other}"),
                }
                if guard.judge(at(now_ms)) {
                    let sign = if guard.may_work() { '+' } else { '-' };
                    seen.push(format!("{sign}{}", now_ms as f64 / 1000.0));
                }
            }
        }
        assert_eq!(seen, expected, "{stretches:?}");
    }

    #[test]
    fn a_peer_dies_by_its_connection_or_its_silence_and_comes_back_when_it_has_answered_for_a_while() {
        check(&[(60, "answers")], &["+0.5"]);
        check(&[(10, "answers"), (12, "refused"), (30, "answers")], &["+0.5"]);
        check(&[(10, "answers"), (17, "silent"), (30, "answers")], &["+0.5"]);
        check(&[(10, "answers"), (30, "refused")], &["+0.5", "-13.5"]);
        check(&[(10, "answers"), (30, "silent")], &["+0.5", "-18"]);
        check(
            &[(10, "answers"), (30, "silent"), (40, "answers")],
            &["+0.5", "-18", "+32.5"],
        );
    }

    #[test]
    fn one_that_was_never_there_is_masked_at_once_and_taken_when_it_comes() {
        check(&[(5, "refused"), (20, "answers")], &["-3.5", "+7.5"]);
        check(&[(2, "refused"), (20, "answers")], &["+2.5"]);
        check(&[(20, "silent")], &["-8"]);
    }

    #[test]
    fn one_that_flaps_must_rest_longer_each_time() {
        let flaps = [
            (1, "answers"),
            (6, "refused"),
            (10, "answers"),
            (14, "refused"),
            (20, "answers"),
            (24, "refused"),
            (40, "answers"),
        ];
        check(&flaps, &["+0.5", "-4.5", "+8.5", "-13.5", "+18.5", "-23.5", "+32.5"]);
        // A rest that is broken begins again.
        let broken = [
            (1, "answers"),
            (6, "refused"),
            (7, "answers"),
            (8, "refused"),
            (20, "answers"),
        ];
        check(&broken, &["+0.5", "-4.5", "+10.5"]);
        // A long life makes up for it.
        let forgiven = [
            (1, "answers"),
            (6, "refused"),
            (700, "answers"),
            (710, "refused"),
            (720, "answers"),
        ];
        check(&forgiven, &["+0.5", "-4.5", "+8.5", "-703.5", "+712.5"]);
    }

    #[test]
    fn whoever_was_stopped_itself_takes_nobody_for_dead() {
        let mut guard = Guard::new(Policy::default(), at(0));
        guard.hears(at(500));
        assert!(guard.judge(at(500)));
        assert!(!guard.judge(at(20_500)), "nothing was heard in 20 s that nobody judged");
        assert!(
            (21..28).all(|second| !guard.judge(at(second * 1000))),
            "nor is it too soon"
        );
        assert!(guard.judge(at(28_500)), "but then it is silent");
    }

    #[test]
    fn the_reason_is_said() {
        let mut guard = Guard::new(Policy::default(), at(0));
        guard.sees(&refused(), at(0));
        assert!(!guard.judge(at(2_000)));
        assert!(guard.judge(at(3_000)));
        assert_eq!(
            guard.life(),
            &Life::Dead("no connection for 3 s: connection refused".to_owned())
        );
    }
}

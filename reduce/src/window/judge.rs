//! Who is ok for a window, and how final it is (C2, C7, P1 to P4, M1, M5).

use super::{Merged, Published, Window};
use crate::completeness::Hosts;
use crate::inventory::{Inventory, Roll};
use crate::origins::Origins;
use crate::pieces::Proofs;
use crate::point::WindowState;
use crate::stored::{HostTable, StoredHeader};
use crate::timeline::{Said, Source, Timeline, is_loss};
use map::verdict::{HostState, Stage};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long after a window's first answer is due a host may stay without a verdict. A Map gives up a pull after 5 s
/// and says so, so that silence for longer is the Map's own.
pub const PATIENCE_NS: i64 = 8_000_000_000;
/// How long after its end a window at 100 % keeps its pieces once it is settled: four times the longest delay that is
/// ever learned, so that a late record can nearly always be merged.
pub const PIECES_KEPT_NS: i64 = 3_600_000_000_000;

/// What a window is judged on beside its cells and what was published.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// Wall time.
    pub now_ns: i64,
    /// Length of a window.
    pub length_ns: i64,
    /// How long after its end the first answer comes.
    pub grace_ns: i64,
    /// How long after its end a window is still worth repairing.
    pub horizon_ns: i64,
    /// Who is expected.
    pub inventory: &'a Inventory,
    /// Versions of the inventory that only stored windows name.
    pub rolls: &'a BTreeMap<u64, Arc<Roll>>,
    /// What was said of each host.
    pub timelines: &'a BTreeMap<Arc<str>, Timeline>,
    /// Which hosts were seen to be one.
    pub origins: &'a Origins,
    /// Who asks each host.
    pub askers: &'a BTreeMap<Arc<str>, u32>,
    /// How it stands with those who ask.
    pub asked: &'a BTreeMap<u32, Asked>,
}

/// How it stands with a shard on its Map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Since when it is asked.
    pub since_ns: i64,
    /// Why it cannot be asked, if so.
    pub unreachable: Option<Arc<str>>,
}

impl Ground<'_> {
    /// The roll of a version, of the task or of what was stored.
    pub fn roll(&self, version: u64) -> Option<&Arc<Roll>> {
        self.inventory.version(version).or_else(|| self.rolls.get(&version))
    }
}

/// What holds of one expected host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Its state.
    pub state: HostState,
    /// How far a Map proved it; `None` where it is not a Map's word.
    pub stage: Option<Stage>,
    /// More for people.
    pub detail: Option<Arc<str>>,
}

impl Verdict {
    fn ours(state: HostState, detail: Option<Arc<str>>) -> Self {
        Self {
            state,
            stage: None,
            detail,
        }
    }

    fn said(said: &Said) -> Self {
        Self {
            state: said.state,
            stage: Some(said.stage),
            detail: said.detail.clone(),
        }
    }
}

/// Who is ok for a window, and how final it is.
#[derive(Debug)]
pub struct Judgement {
    roll: Option<Arc<Roll>>,
    verdicts: Vec<Verdict>,
    withdrawn: BTreeMap<String, HostState>,
    /// How final it is.
    pub state: WindowState,
    /// Whether it needs nobody's attention any more.
    pub done: bool,
    /// When it is to be judged again, if nothing is told before.
    pub due_ns: Option<i64>,
}

/// A state that takes an ok back, once published (M1).
pub fn is_withdrawal(state: HostState) -> bool {
    use HostState::{Ahead, Behind, BytesLost, Duplicate, Left};
    matches!(state, BytesLost | Behind | Ahead | Duplicate | Left)
}

/// What was published, by name.
struct Before<'a> {
    published: &'a Published,
    /// The roll in whose order the states stand; none before history begins.
    roll: Option<&'a Roll>,
    states: Vec<(HostState, Option<Stage>)>,
}

impl<'a> Before<'a> {
    fn new(published: &'a Published, ground: &'a Ground<'a>) -> Self {
        let version = published.header.inventory_version;
        Self {
            published,
            roll: version.and_then(|version| ground.roll(version)).map(|roll| &**roll),
            states: published.proofs.states().collect(),
        }
    }

    fn of(&self, host: &str) -> Option<Verdict> {
        let place = self.roll?.place(host)?;
        let (state, stage) = *self.states.get(place)?;
        let details = &self.published.header.hosts.details;
        Some(Verdict {
            state,
            stage,
            detail: details.get(&(place as u32)).map(|text| text.as_str().into()),
        })
    }

    fn is_withdrawn(&self, host: &str) -> bool {
        let withdrawn = &self.published.header.withdrawn;
        withdrawn.iter().any(|(name, _)| name == host)
    }

    /// Whether more than an open window was published.
    fn was_closed(&self) -> bool {
        self.published.header.state != WindowState::Open
    }
}

/// One judging of one window.
struct Judge<'a> {
    window: &'a Window,
    ground: &'a Ground<'a>,
    end_ns: i64,
    before: Option<Before<'a>>,
    /// Spans that begin inside of the window.
    inside: Vec<&'a Arc<Roll>>,
}

impl Window {
    /// Who is ok now, and how final the window is.
    pub(super) fn judge(&self, ground: &Ground<'_>) -> Judgement {
        let end_ns = self.start_ns.saturating_add(ground.length_ns);
        let rolls = ground.inventory.rolls();
        let judge = Judge {
            window: self,
            ground,
            end_ns,
            before: self.published.as_ref().map(|published| Before::new(published, ground)),
            inside: rolls
                .filter(|roll| self.start_ns < roll.from_ns && roll.from_ns < end_ns)
                .collect(),
        };
        // Where a task no longer tells the past, what was published does.
        let before = self
            .published
            .as_ref()
            .and_then(|published| published.header.inventory_version);
        let roll = ground
            .inventory
            .at(self.start_ns)
            .or_else(|| ground.roll(before?))
            .cloned();
        let hosts = roll
            .iter()
            .flat_map(|roll| roll.hosts.iter().enumerate().map(move |host| (roll, host)));
        let verdicts = hosts
            .map(|(roll, (place, host))| judge.verdict(roll, place, &host.host))
            .collect();
        judge.judgement(roll, verdicts)
    }
}

impl Judge<'_> {
    fn closes_ns(&self) -> i64 {
        self.end_ns.saturating_add(self.ground.grace_ns)
    }

    fn verdict(&self, roll: &Roll, place: usize, host: &str) -> Verdict {
        if let Some(why) = self.window.refused.get(host) {
            let state = if self.window.is_closed() {
                HostState::Behind
            } else {
                HostState::OverBudget
            };
            return Verdict::ours(state, Some(why.as_str().into()));
        }
        if let Some(first) = roll.duplicate_of(place) {
            let detail = format!("{} listens at {} too", first.host, first.address);
            return Verdict::ours(HostState::Duplicate, Some(detail.into()));
        }
        if let Some(twin) = self.twin_before(roll, place, host) {
            let detail = format!("its agent is that of {twin}, which counts the same log");
            return Verdict::ours(HostState::Duplicate, Some(detail.into()));
        }
        if self.inside.iter().any(|roll| roll.place(host).is_none()) {
            return Verdict::ours(HostState::Left, None);
        }
        let said = self
            .ground
            .timelines
            .get(host)
            .and_then(|timeline| timeline.at(self.window.start_ns));
        let before = self.before.as_ref().and_then(|before| before.of(host));
        self.weighed(host, said, before)
    }

    /// The host that counts what this one would count as well, if there is one: of hosts that are one, that one counts
    /// which was published as ok, else one that is said to be, else the first of the roll.
    fn twin_before<'t>(&'t self, roll: &Roll, place: usize, host: &str) -> Option<&'t str> {
        let was_ok = |name: &str| {
            let before = self.before.as_ref().and_then(|before| before.of(name));
            before.is_some_and(|before| before.state.is_ok())
        };
        let is_said = |name: &str| {
            let timeline = self.ground.timelines.get(name);
            timeline
                .and_then(|timeline| timeline.at(self.window.start_ns))
                .is_some_and(|said| said.state.is_ok())
        };
        let rank = |name: &str, place: usize| (!was_ok(name), !is_said(name), place);
        let mut twins = self.ground.origins.twins_of(host);
        twins.find(|twin| {
            let of_twin = roll.place(twin).filter(|place| roll.duplicate_of(*place).is_none());
            of_twin.is_some_and(|of_twin| rank(twin, of_twin) < rank(host, place))
        })
    }

    /// The rules 2 to 5 of the module above.
    fn weighed(&self, host: &str, said: Option<&Said>, before: Option<Verdict>) -> Verdict {
        let was_ok = before.as_ref().is_some_and(|before| before.state.is_ok());
        match (said, before) {
            (Some(said), Some(before)) if said.state.is_ok() && self.outweighs(&before, said) => before,
            (Some(said), None) if said.state.is_ok() && self.window.is_closed() => {
                let why = "its records came when the window's pieces were already dropped; back-fill it";
                Verdict::ours(HostState::NotStarted, Some(why.into()))
            }
            (Some(said), before) if said.state.is_ok() => {
                self.ok(host, Some(said.stage), before.filter(|_| was_ok), said.detail.clone())
            }
            (Some(said), _) if is_withdrawal(said.state) => Verdict::said(said),
            (_, Some(before)) if was_ok => self.ok(host, None, Some(before), None),
            (_, Some(before)) if self.stays(host, &before) => before,
            (Some(said), _) => Verdict::said(said),
            (None, Some(before)) if may_stay(&before) => before,
            (None, _) => self.silence(host),
        }
    }

    /// Whether what was published stands against a Map's word that the host is ok.
    fn outweighs(&self, before: &Verdict, said: &Said) -> bool {
        // Without its pieces a window cannot take in what a host that was not ok brings.
        let is_too_late = self.window.is_closed() && !before.state.is_ok();
        let is_lost = is_loss(before.state) && !said.lifts;
        // Something of the host was refused here: only a read of all of it makes up for that.
        let was_refused = before.state == HostState::OverBudget && before.stage.is_none();
        is_too_late || is_lost || (was_refused && said.source != Source::Reread)
    }

    /// Whether a state that was published stays against any word but ok and a withdrawal.
    fn stays(&self, host: &str, before: &Verdict) -> bool {
        let is_withdrawn = self.before.as_ref().is_some_and(|before| before.is_withdrawn(host));
        is_withdrawn || is_loss(before.state) || self.window.is_closed()
    }

    /// An ok host: proved as far as it ever was, unless what was counted of it has changed since.
    fn ok(&self, host: &str, said: Option<Stage>, before: Option<Verdict>, detail: Option<Arc<str>>) -> Verdict {
        if let Some(before) = before.as_ref().filter(|_| self.window.is_closed()) {
            return before.clone();
        }
        let is_changed = self.window.touched.contains(host);
        let proved = before.and_then(|before| before.stage).filter(|_| !is_changed);
        Verdict {
            state: if self.has_records(host) {
                HostState::Ok
            } else {
                HostState::OkSilent
            },
            stage: said.max(proved).or(Some(Stage::Provisional)),
            detail,
        }
    }

    fn has_records(&self, host: &str) -> bool {
        let first = (Arc::from(host), 0);
        let mut cells = self
            .window
            .cells
            .range(first..)
            .take_while(|((name, _), _)| &**name == host);
        cells.any(|(_, kept)| kept.partial.records > 0 || kept.partial.lost.total() > 0)
    }

    /// Nobody has said anything of the host: it is open for a while, then whose fault it is.
    fn silence(&self, host: &str) -> Verdict {
        if self.is_gone(host) {
            let why = "it left before the window's end was proved";
            return Verdict::ours(HostState::Left, Some(why.into()));
        }
        let was_closed = self.before.as_ref().is_some_and(Before::was_closed);
        if !was_closed && self.ground.now_ns < self.patient_until_ns(host) {
            return Verdict::ours(HostState::Open, None);
        }
        match self.asked(host).map(|asked| &asked.unreachable) {
            Some(Some(why)) => Verdict::ours(HostState::Unreachable, Some(Arc::clone(why))),
            Some(None) => Verdict::ours(HostState::Timeout, Some("its map said nothing of it".into())),
            None => Verdict::ours(HostState::Timeout, Some("no map was told to count it".into())),
        }
    }

    fn asked(&self, host: &str) -> Option<&Asked> {
        self.ground.asked.get(self.ground.askers.get(host)?)
    }

    fn patient_until_ns(&self, host: &str) -> i64 {
        let since_ns = match (self.asked(host), self.ground.askers.get(host)) {
            (Some(asked), _) => asked.since_ns,
            // Its Map is about to be asked.
            (None, Some(_)) => self.ground.now_ns,
            (None, None) => i64::MIN,
        };
        self.closes_ns().max(since_ns).saturating_add(PATIENCE_NS)
    }

    /// Whether the newest inventory does not name the host: nobody reads it any more.
    fn is_gone(&self, host: &str) -> bool {
        let newest = self.ground.inventory.rolls().last();
        newest.is_some_and(|roll| roll.place(host).is_none())
    }

    fn judgement(&self, roll: Option<Arc<Roll>>, verdicts: Vec<Verdict>) -> Judgement {
        let withdrawn = self.withdrawn(roll.as_deref(), &verdicts);
        let now_ns = self.ground.now_ns;
        let is_past_horizon = now_ns >= self.end_ns.saturating_add(self.ground.horizon_ns);
        let hosts = || roll.iter().flat_map(|roll| &roll.hosts).zip(&verdicts);
        let was_closed = self.before.as_ref().is_some_and(Before::was_closed);
        let is_open = !was_closed
            && (now_ns < self.closes_ns() || verdicts.iter().any(|verdict| verdict.state == HostState::Open));
        let at_rest = || hosts().all(|(host, verdict)| self.is_at_rest(&host.host, verdict));
        let state = if is_open {
            WindowState::Open
        } else if self.window.is_closed() || is_past_horizon || at_rest() {
            WindowState::Settled
        } else {
            WindowState::Provisional
        };
        let is_complete = !verdicts.is_empty() && verdicts.iter().all(|verdict| verdict.state.is_ok());
        let given_up_ns = self.end_ns.saturating_add(self.ground.horizon_ns);
        let due_ns = match state {
            WindowState::Open if now_ns < self.closes_ns() => Some(self.closes_ns()),
            WindowState::Open => {
                let open = hosts().filter(|(_, verdict)| verdict.state == HostState::Open);
                open.map(|(host, _)| self.patient_until_ns(&host.host)).min()
            }
            WindowState::Settled if is_complete => Some(given_up_ns.min(self.end_ns.saturating_add(PIECES_KEPT_NS))),
            WindowState::Provisional | WindowState::Settled => Some(given_up_ns),
        };
        let done = state == WindowState::Settled && due_ns.is_some_and(|due_ns| due_ns <= now_ns);
        Judgement {
            roll,
            verdicts,
            withdrawn,
            state,
            done,
            due_ns: due_ns.filter(|_| !done),
        }
    }

    /// Whether nothing more is expected of a host.
    fn is_at_rest(&self, host: &str, verdict: &Verdict) -> bool {
        let is_settled = verdict.state.settles() && verdict.stage == Some(Stage::Settled);
        is_settled || verdict.state.is_for_good() || self.is_gone(host)
    }

    /// Whether an ok host counts the same log: one that goes by another name now, or was found to be the same. Then
    /// what was counted under this name must not stay beside it (C4).
    fn is_counted_as_another(&self, host: &str, roll: Option<&Roll>, verdicts: &[Verdict]) -> bool {
        let Some(roll) = roll else { return false };
        let before = self.before.as_ref().and_then(|before| before.roll);
        let rolls = before
            .into_iter()
            .chain(self.ground.inventory.rolls().map(|roll| &**roll));
        let mut addresses = rolls.filter_map(|roll| Some(roll.hosts[roll.place(host)?].address.as_str()));
        let address = addresses.next();
        let mut others = roll.hosts.iter().zip(verdicts);
        others.any(|(other, verdict)| {
            let is_same = Some(other.address.as_str()) == address || self.ground.origins.are_one(host, &other.host);
            other.host != host && verdict.state.is_ok() && is_same
        })
    }

    /// Hosts whose published contribution stays, although they are not ok any more.
    fn withdrawn(&self, roll: Option<&Roll>, verdicts: &[Verdict]) -> BTreeMap<String, HostState> {
        let mut withdrawn = BTreeMap::new();
        let Some(before) = self.before.as_ref().filter(|before| before.was_closed()) else {
            return withdrawn;
        };
        let now = |host: &str| {
            roll.and_then(|roll| roll.place(host))
                .map(|place| verdicts[place].state)
        };
        let earlier = before.published.header.withdrawn.iter();
        let earlier = earlier.map(|(host, reason)| (host.as_str(), *reason));
        let hosts = before.roll.iter().flat_map(|roll| &roll.hosts).zip(&before.states);
        let were_ok = hosts.filter(|(_, (state, _))| state.is_ok());
        let were_ok = were_ok.map(|(host, _)| (host.host.as_str(), HostState::Left));
        for (host, reason) in earlier.chain(were_ok) {
            let reason = now(host).unwrap_or(reason);
            if !reason.is_ok() && !self.is_counted_as_another(host, roll, verdicts) {
                withdrawn.insert(host.to_owned(), reason);
            }
        }
        withdrawn
    }
}

/// Whether a state that was published stays if nothing is said: all but those that follow from the inventory, which
/// was asked anew, and an open one.
fn may_stay(before: &Verdict) -> bool {
    let follows = matches!(before.state, HostState::Left | HostState::Duplicate) && before.stage.is_none();
    !follows && before.state != HostState::Open
}

impl Judgement {
    /// Whether what was read of a host counts: all of an open window that may, else exactly the hosts that are ok, and
    /// what was published of hosts that were.
    pub fn counts(&self, host: &str) -> bool {
        let place = self.roll.as_ref().and_then(|roll| roll.place(host));
        let state = place.map(|place| self.verdicts[place].state);
        let expected = state.is_some_and(|state| match self.state {
            WindowState::Open => state != HostState::Duplicate,
            WindowState::Provisional | WindowState::Settled => state.is_ok(),
        });
        expected || self.withdrawn.contains_key(host)
    }

    /// Hosts that are neither ok nor open, with why.
    pub fn troubles(&self) -> impl Iterator<Item = (&str, &Verdict)> {
        let hosts = self.roll.iter().flat_map(|roll| &roll.hosts).zip(&self.verdicts);
        let is_trouble = |verdict: &Verdict| !verdict.state.is_ok() && verdict.state != HostState::Open;
        hosts
            .filter(move |(_, verdict)| is_trouble(verdict))
            .map(|(host, verdict)| (host.host.as_str(), verdict))
    }

    /// How many hosts are ok, and how many are not.
    pub fn hosts(&self) -> Hosts {
        let mut hosts = Hosts::default();
        self.verdicts.iter().for_each(|verdict| hosts.add(verdict.state));
        hosts
    }

    pub(super) fn proofs(&self, monitor_version: u64) -> Proofs {
        let verdicts = self.verdicts.iter();
        Proofs::new(monitor_version, verdicts.map(|verdict| (verdict.state, verdict.stage)))
    }

    pub(super) fn header(&self, monitor_version: u64, merged: &Merged) -> StoredHeader {
        let verdicts = self.verdicts.iter();
        let states = verdicts.map(|verdict| (verdict.state, verdict.detail.as_deref().map(str::to_owned)));
        StoredHeader {
            monitor_version,
            inventory_version: self.roll.as_ref().map(|roll| roll.version),
            profile_version: merged.profile_version,
            state: self.state,
            hosts: HostTable::new(states),
            records: merged.records,
            lost: merged.lost,
            flags: merged.flags.clone(),
            overflow: merged.overflow.clone(),
            withdrawn: self
                .withdrawn
                .iter()
                .map(|(host, state)| (host.clone(), *state))
                .collect(),
        }
    }
}

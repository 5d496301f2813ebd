//! P1: what the files of an input are at a time `t` of the host's clock, with the proof that the listing was stable.
//!
//! The clock is sampled, then everything listed, then listed again. If names or identities differ, a rotation ran
//! through the first listing and could have hidden a file from it: again, three times at most. Every size is seen after
//! `t`, so every byte written before `t` is below it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use mutant::Mutant;

use crate::generations::{Depth, Survey, survey};
use crate::pattern::{Pattern, PatternError};
use crate::protocol::{HostZone, Identity, PathProblem, SnapshotAnswer, SnapshotRequest, Stability, ZoneName};
use crate::roots::Roots;

/// How often a listing is tried (P1).
pub const ATTEMPTS_MAX: u8 = 3;
/// Longest `/etc/machine-id` that is believed; systemd's has 32 digits.
const MACHINE_ID_BYTES_MAX: usize = 64;
/// How long listing takes on a slow disk, for the planted bug that this makes show: longer than a monitor's
/// grace, so that records of its windows are written meanwhile.
const SLOW_LISTING: std::time::Duration = std::time::Duration::from_millis(1500);

/// The host's wall clock, handed in so that tests and the simulation own time.
pub trait HostClock: Send + Sync {
    /// Nanoseconds since the Unix epoch.
    fn now_ns(&self) -> i64;
}

/// What is known of the host besides its clock.
#[derive(Debug, Clone)]
pub struct HostFacts {
    /// Its zone.
    pub zone: TimeZone,
    /// Its machine id, empty if it has none.
    pub machine_id: String,
    /// Of which agent they are; see [`SnapshotAnswer::instance`].
    pub instance: u64,
}

impl HostFacts {
    /// Reads both from the system. Cheap (the zone is cached by jiff for some minutes), so the agent does it for each
    /// request: a host whose zone is changed must not be read in the old one.
    pub fn read() -> Self {
        let text = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
        let machine_id = text
            .trim()
            .chars()
            .take(MACHINE_ID_BYTES_MAX)
            .filter(char::is_ascii_alphanumeric)
            .collect();
        Self {
            zone: TimeZone::try_system().unwrap_or_else(|_| zone_by_default()),
            machine_id,
            instance: 0,
        }
    }

    /// The zone as an answer carries it.
    pub fn zone_at(&self, t_ns: i64) -> HostZone {
        let at = Timestamp::from_nanosecond(t_ns.into()).unwrap_or(Timestamp::UNIX_EPOCH);
        let name = match self.zone.iana_name() {
            Some(name) => ZoneName::Iana(name.to_owned()),
            None if self.zone.is_unknown() => ZoneName::Unknown,
            None => ZoneName::Unnamed,
        };
        HostZone {
            name,
            offset_seconds: self.zone.to_offset(at).seconds(),
        }
    }
}

/// The zone of a host whose zone can't be read. Without `/etc/localtime` it is UTC by definition (localtime(5)); with
/// one that makes no sense it is unknown, and said to be so ([`ZoneName::Unknown`]): UTC would move every value.
fn zone_by_default() -> TimeZone {
    let defined = std::fs::symlink_metadata("/etc/localtime").is_ok() || std::env::var_os("TZ").is_some();
    if defined { TimeZone::unknown() } else { TimeZone::UTC }
}

/// Takes a snapshot of an input.
/// Cost: two to six listings, see [`survey`]; nothing is kept open.
pub fn snapshot(
    roots: &Roots,
    clock: &dyn HostClock,
    facts: &HostFacts,
    request: &SnapshotRequest,
) -> Result<SnapshotAnswer, PatternError> {
    let pattern = Pattern::parse(&request.pattern)?;
    let mut attempt = 1;
    loop {
        let missing_roots = roots.refresh();
        let mut t_ns = clock.now_ns();
        let list = |depth| {
            let matches = pattern.find(roots, request.dates_from_ns, t_ns, &facts.zone)?;
            Ok::<_, PatternError>(survey(roots, &matches, &request.known, depth))
        };
        let first = list(Depth::Contents)?;
        let second = list(Depth::Names)?;
        if mutant::is(Mutant::ClockAfterListing) {
            std::thread::park_timeout(SLOW_LISTING);
            t_ns = clock.now_ns();
        }
        let stability = match names_of(&first) == names_of(&second) {
            true => Stability::Stable { attempt },
            false if attempt < ATTEMPTS_MAX => {
                attempt += 1;
                continue;
            }
            false => Stability::Unstable,
        };
        return Ok(SnapshotAnswer {
            t_ns,
            zone: facts.zone_at(t_ns),
            machine_id: facts.machine_id.clone(),
            instance: facts.instance,
            stability,
            generations: first.generations,
            problems: first.problems.into_iter().collect(),
            limits: first.limits.into_iter().collect(),
            roots: missing_roots,
        });
    }
}

/// What must agree between two listings: every name, which file it is, and what could not be used.
fn names_of(survey: &Survey) -> (BTreeSet<(&str, Identity)>, &BTreeSet<PathProblem>) {
    let names = survey
        .generations
        .iter()
        .map(|generation| (generation.path.as_str(), generation.identity))
        .collect();
    (names, &survey.problems)
}

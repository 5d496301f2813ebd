//! What keeps an agent within its bounds and out of the way of others, as it says it itself: in its status and in one
//! line when it starts.
//!
//! Nothing here is a promise of the configuration: [`Confinement`] is read back from the kernel after all is set up.

use std::fmt;

use rustix::thread::{CapabilitySet, SecureComputingMode};
use serde::{Deserialize, Serialize};

use crate::guard;
use crate::roots::OpenWay;

/// What is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// How paths below the roots are opened.
    pub open_way: OpenWay,
    /// Whether the kernel refuses files elsewhere, writing, and TCP, whatever this program tries.
    pub landlock: Landlock,
    /// Whether the kernel refuses calls that an agent never needs.
    pub seccomp: Seccomp,
    /// Whether a program with more rights than this one can be run by it: if true, it can't.
    pub no_new_privileges: bool,
    /// The user that it runs as.
    pub user_id: u32,
    /// The rights of root that it holds, as `dac_read_search`; none as a rule.
    pub capabilities: Vec<String>,
    /// How far its threads stand back for a processor: 19 is farthest.
    #[serde(default)]
    pub nice: i32,
    /// The same for disks.
    #[serde(default)]
    pub io: IoClass,
}

/// The class in which the kernel orders its reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum IoClass {
    /// After everybody else.
    Idle,
    /// As others, at a level from 0 to 7, the least urgent; where none was set, it follows from the niceness.
    BestEffort,
    /// Before everybody else.
    Realtime,
    /// The kernel does not say.
    #[default]
    Unknown,
}

impl IoClass {
    /// Of this thread.
    fn read() -> IoClass {
        match ioprio::get_priority(guard::this_thread()).map(ioprio::Priority::class) {
            Ok(Some(ioprio::Class::Idle)) => IoClass::Idle,
            Ok(Some(ioprio::Class::BestEffort(_)) | None) => IoClass::BestEffort,
            Ok(Some(ioprio::Class::Realtime(_))) => IoClass::Realtime,
            Err(_) => IoClass::Unknown,
        }
    }

    /// The name in answers.
    pub fn name(self) -> &'static str {
        match self {
            IoClass::Idle => "idle",
            IoClass::BestEffort => "best effort",
            IoClass::Realtime => "real time",
            IoClass::Unknown => "unknown",
        }
    }
}

/// State of the file sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Landlock {
    /// Not asked for.
    Off,
    /// Asked for, and not to be had, for this reason.
    Missing(String),
    /// In force.
    InForce {
        /// The version of the kernel's interface that is used: from 4 on TCP is refused as well, from 6 on signals.
        abi: u32,
        /// Whether dialling and listening by TCP are refused.
        tcp: bool,
    },
}

/// State of the filter of system calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seccomp {
    /// Not asked for.
    Off,
    /// Asked for, and not to be had, for this reason.
    Missing(String),
    /// In force.
    InForce,
}

impl Confinement {
    /// What the kernel says of this thread. `landlock` and `seccomp` are taken from who set them up, the kernel has no
    /// question for the first; that a filter is there is asked all the same.
    pub fn read(open_way: OpenWay, landlock: Landlock, seccomp: Seccomp) -> Confinement {
        let seccomp = match (rustix::thread::secure_computing_mode(), seccomp) {
            (Ok(SecureComputingMode::Filter), seccomp) => seccomp,
            (_, Seccomp::InForce) => Seccomp::Missing("the kernel says that there is no filter".to_owned()),
            (_, seccomp) => seccomp,
        };
        let held = rustix::thread::capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
        Confinement {
            open_way,
            landlock,
            seccomp,
            no_new_privileges: rustix::thread::no_new_privs().unwrap_or(false),
            user_id: rustix::process::geteuid().as_raw(),
            capabilities: held.iter_names().map(|(name, _)| name.to_lowercase()).collect(),
            nice: rustix::process::getpriority_process(None).unwrap_or(0),
            io: IoClass::read(),
        }
    }

    /// Of an agent that is part of another process, which is not shut in for its sake.
    pub fn none(open_way: OpenWay) -> Confinement {
        Confinement::read(open_way, Landlock::Off, Seccomp::Off)
    }

    /// What keeps it in, in two words at most: `landlock+seccomp`, or `off`.
    pub fn short(&self) -> String {
        let landlock = matches!(self.landlock, Landlock::InForce { .. }).then_some("landlock");
        let seccomp = matches!(self.seccomp, Seccomp::InForce).then_some("seccomp");
        let there: Vec<&str> = landlock.into_iter().chain(seccomp).collect();
        if there.is_empty() {
            "off".to_owned()
        } else {
            there.join("+")
        }
    }

    /// What is missing of a whole sandbox, if anything is.
    pub fn missing(&self) -> Option<String> {
        let landlock = match &self.landlock {
            Landlock::InForce { .. } => None,
            Landlock::Off => Some("landlock is off".to_owned()),
            Landlock::Missing(why) => Some(format!("no landlock ({why})")),
        };
        let seccomp = match &self.seccomp {
            Seccomp::InForce => None,
            Seccomp::Off => Some("seccomp is off".to_owned()),
            Seccomp::Missing(why) => Some(format!("no seccomp ({why})")),
        };
        let privileges = (!self.no_new_privileges).then(|| "new privileges are possible".to_owned());
        let missing: Vec<String> = [landlock, seccomp, privileges].into_iter().flatten().collect();
        (!missing.is_empty()).then(|| missing.join(", "))
    }
}

impl fmt::Display for Confinement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.landlock {
            Landlock::Off => write!(formatter, "landlock off")?,
            Landlock::Missing(why) => write!(formatter, "NO landlock ({why})")?,
            Landlock::InForce { abi, tcp: true } => write!(formatter, "landlock ABI {abi}")?,
            Landlock::InForce { abi, tcp: false } => write!(formatter, "landlock ABI {abi} (files only)")?,
        }
        match &self.seccomp {
            Seccomp::Off => write!(formatter, ", seccomp off")?,
            Seccomp::Missing(why) => write!(formatter, ", NO seccomp ({why})")?,
            Seccomp::InForce => write!(formatter, ", seccomp")?,
        }
        let privileges = if self.no_new_privileges { "no " } else { "" };
        let way = match self.open_way {
            OpenWay::OpenAt2 => "openat2",
            OpenWay::ComponentWalk => "a walk of components",
        };
        write!(
            formatter,
            ", {privileges}new privileges, opens by {way}, user {}",
            self.user_id
        )?;
        match self.capabilities.as_slice() {
            [] => write!(formatter, ", no capabilities")?,
            held => write!(formatter, ", capabilities {}", held.join("+"))?,
        }
        write!(formatter, ", nice {}, I/O {}", self.nice, self.io.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said() {
        let whole = Confinement {
            open_way: OpenWay::OpenAt2,
            landlock: Landlock::InForce { abi: 4, tcp: true },
            seccomp: Seccomp::InForce,
            no_new_privileges: true,
            user_id: 7,
            capabilities: vec!["dac_read_search".to_owned()],
            nice: 19,
            io: IoClass::Idle,
        };
        assert_eq!((whole.missing(), whole.short()), (None, "landlock+seccomp".to_owned()));
        assert_eq!(
            whole.to_string(),
            "landlock ABI 4, seccomp, no new privileges, opens by openat2, user 7, capabilities dac_read_search, \
             nice 19, I/O idle"
        );
        let landlock = Landlock::Missing("not built in".to_owned());
        let part = Confinement { landlock, ..whole };
        assert_eq!(part.missing().as_deref(), Some("no landlock (not built in)"));
        assert_eq!(
            (
                part.short(),
                Confinement {
                    seccomp: Seccomp::Off,
                    ..part.clone()
                }
                .short()
            ),
            ("seccomp".to_owned(), "off".to_owned())
        );
        assert!(part.to_string().starts_with("NO landlock (not built in), seccomp, "));
    }

    #[test]
    fn a_filter_that_the_kernel_knows_nothing_of_is_not_believed() {
        let read = Confinement::read(OpenWay::OpenAt2, Landlock::Off, Seccomp::InForce);
        let filtered = matches!(rustix::thread::secure_computing_mode(), Ok(SecureComputingMode::Filter));
        assert_eq!(read.seccomp == Seccomp::InForce, filtered);
    }
}

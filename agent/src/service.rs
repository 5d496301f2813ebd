//! The agent as one value: takes a request of [`crate::protocol`], gives its answer, and remembers nothing of it.
//!
//! All of it is synchronous and short, but for the sending of a range, whose plan is handed to the network side.
//! How a stamp is read is handed in as [`StampReaders`]; [`crate::profile::LoglineStamps`] is the one that agents use.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};

use crate::bisect::{self, FindError, ReadAt, Target};
use crate::browse;
use crate::confinement::Confinement;
use crate::content::read_at;
use crate::generations::{Located, open_generation};
use crate::guard;
use crate::profile::{ProfileError, StampProfile};
use crate::protocol::{
    Answer, FindAnswer, FindRequest, PathProblem, Refusal, Request, RequestBody, RequestError, RootStatus,
    SnapshotRequest, StatusAnswer, StatusLimits,
};
use crate::ranges::{self, RangePlan};
use crate::roots::{OpenFile, Roots};
use crate::snapshot::{HostClock, HostFacts, snapshot};
use crate::system::SystemSource;

/// Reads the stamp of the line that begins at an offset, in nanoseconds since the Unix epoch; None for a line that has
/// none. Offsets rise within a block, and jump between blocks.
pub type StampReader = Box<dyn FnMut(u64, &[u8]) -> Option<i64> + Send>;

/// Makes stamp readers from the profile of a [`FindRequest`].
pub trait StampReaders: Send + Sync {
    /// A reader for one search, or why the profile makes no sense to it.
    fn reader(&self, profile: &StampProfile, facts: &HostFacts) -> Result<StampReader, ProfileError>;
}

/// What came of a request.
#[derive(Debug)]
pub enum Served {
    /// An answer; that is all.
    Answer(Answer),
    /// Bytes to be sent through a [`ranges::RangeSink`]; the [`Answer::Range`] comes from [`RangePlan::send`].
    Range(RangePlan),
}

/// The agent.
pub struct Agent {
    roots: Roots,
    /// What people may look at, if that is not all.
    browsing: Option<Roots>,
    system: Result<SystemSource, Refusal>,
    clock: Arc<dyn HostClock>,
    stamps: Arc<dyn StampReaders>,
    facts: fn() -> HostFacts,
    instance: u64,
    limits: StatusLimits,
    /// What the process was confined to, and its user's name.
    confined: OnceLock<(Confinement, Option<String>)>,
}

impl Agent {
    /// An agent over open roots. Without a readable `/proc` it serves all but the `system` source.
    pub fn new(roots: Roots, clock: Arc<dyn HostClock>, stamps: Arc<dyn StampReaders>) -> Self {
        Self {
            roots,
            browsing: None,
            system: SystemSource::open(),
            clock,
            stamps,
            facts: HostFacts::read,
            instance: 0,
            limits: StatusLimits::default(),
            confined: OnceLock::new(),
        }
    }

    /// Remembers what the process was confined to, and the name of its user, for its status.
    pub fn confined(&self, confinement: Confinement, user: Option<String>) {
        let _confined_before = self.confined.set((confinement, user));
    }

    /// The same that shows people no more than what is below these roots, whatever is pulled.
    pub fn with_browsing(self, roots: Roots) -> Self {
        let browsing = Some(roots);
        Self { browsing, ..self }
    }

    /// What people may look at.
    fn shown(&self) -> &Roots {
        self.browsing.as_ref().unwrap_or(&self.roots)
    }

    /// The same with the bounds that its status tells.
    pub fn with_limits(self, limits: StatusLimits) -> Self {
        Self { limits, ..self }
    }

    fn status(&self) -> StatusAnswer {
        let confined = self.confined.get().cloned();
        let (confinement, user) = confined.unwrap_or_else(|| (Confinement::none(self.roots.way()), guard::user_name()));
        let root = |(path, refusal)| RootStatus { path, refusal };
        StatusAnswer {
            confinement,
            user,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            roots: self.shown().states().into_iter().map(root).collect(),
            limits: self.limits,
        }
    }

    /// The same, known by a number from any other agent, whatever address it is asked at.
    pub fn with_instance(self, instance: u64) -> Self {
        Self { instance, ..self }
    }

    fn facts_now(&self) -> HostFacts {
        HostFacts {
            instance: self.instance,
            ..(self.facts)()
        }
    }

    /// The same with other facts about the host: for tests and for many agents on one machine.
    pub fn with_facts(self, facts: fn() -> HostFacts) -> Self {
        Self { facts, ..self }
    }

    /// The roots, for the status page.
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// Serves one request. Blocking, for as long as the disk takes: call it where blocking is allowed.
    pub fn serve(&self, request: Request) -> Served {
        if let Err(error) = request.validate() {
            return Served::Answer(Answer::Rejected(error));
        }
        Served::Answer(match request.body {
            RequestBody::Snapshot(request) => self.snapshot(&request),
            RequestBody::Find(request) => self.find(&request),
            RequestBody::Range(request) => match ranges::plan(&self.roots, request) {
                Ok(plan) => return Served::Range(plan),
                Err(end) => Answer::Range(*end),
            },
            RequestBody::System => match &self.system {
                Ok(system) => Answer::System(system.sample(&*self.clock, &self.facts_now())),
                Err(refusal) => Answer::Rejected(RequestError::SystemSource(refusal.clone())),
            },
            RequestBody::List(request) => Answer::List(browse::list(self.shown(), &request)),
            RequestBody::Preview(request) => {
                let t_ns = self.clock.now_ns();
                let zone = self.facts_now().zone_at(t_ns);
                Answer::Preview(browse::preview(self.shown(), &request, (t_ns, zone)))
            }
            RequestBody::Status => Answer::Status(Box::new(self.status())),
        })
    }

    fn snapshot(&self, request: &SnapshotRequest) -> Answer {
        match snapshot(&self.roots, &*self.clock, &self.facts_now(), request) {
            Ok(answer) => Answer::Snapshot(answer),
            Err(error) => Answer::Rejected(RequestError::Pattern { why: error.to_string() }),
        }
    }

    fn find(&self, request: &FindRequest) -> Answer {
        let stamp = match self.stamps.reader(&request.profile, &self.facts_now()) {
            Ok(stamp) => stamp,
            Err(error) => return Answer::Rejected(RequestError::Profile { why: error.to_string() }),
        };
        let refused = |refusal| {
            FindAnswer::Refused(PathProblem {
                path: request.path.clone(),
                refusal,
            })
        };
        Answer::Find(match open_generation(&self.roots, &request.path, request.identity) {
            Ok(Located::Found(file)) => {
                let target = Target {
                    start_ns: request.start_ns,
                    lateness_ns: request.lateness_ns,
                };
                let mut reader = FileReader::new(&file);
                match bisect::find(&mut reader, stamp, target, request.hint) {
                    Ok(landing) => FindAnswer::Found {
                        landing,
                        size: reader.size(),
                    },
                    Err(FindError::Shrank) => FindAnswer::Changed,
                    Err(FindError::Read { source, .. }) => refused(Refusal::Io {
                        errno: source.raw_os_error().unwrap_or(0),
                    }),
                }
            }
            Ok(Located::Gone) => FindAnswer::Gone,
            Err(refusal) => refused(refusal),
        })
    }
}

/// An open file as [`bisect`] reads it.
pub struct FileReader<'f> {
    descriptor: &'f OwnedFd,
    size: u64,
}

impl<'f> FileReader<'f> {
    /// Reads up to the size that the file had when it was opened.
    pub fn new(file: &'f OpenFile) -> Self {
        Self {
            descriptor: &file.descriptor,
            size: file.stat.size,
        }
    }
}

impl ReadAt for FileReader<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(read_at(self.descriptor, offset, buffer)?)
    }
}

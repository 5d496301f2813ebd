//! Shuts the process of an agent in, once it holds what it needs and before it answers anybody.
//!
//! Code that is right needs none of this: [`crate::roots`] opens nothing outside the roots. The guard is for the day on
//! which some code is wrong. Then the kernel still refuses it everything but to read below the roots (`folders`:
//! Landlock), whole families of calls (`calls`: seccomp), and the rights of the user that started it (`user`).
//!
//! The order is that of [`confine`], and each step needs the ones before it: the listener is bound and the roots and
//! `/proc` are open before any right is given up; the user changes before Landlock, since looking him up reads `/etc`;
//! seccomp comes last, since it refuses the calls of the others. The thread that does it must be the only one: threads
//! made later inherit all of it, those made earlier would have nothing of it.
//!
//! Only a process of its own does this ([`crate::process::run`]). An agent inside of `sunfire up` or of a test is as
//! free as the process around it, and its status says so.

mod calls;
mod folders;
mod user;

use std::io;
use std::path::PathBuf;

use configs::node::{Manners, SandboxPolicy};

use crate::confinement::{Confinement, Landlock, Seccomp};
use crate::roots::Roots;

/// Niceness of a polite agent: the weakest there is.
const NICE_POLITE: i32 = 19;

/// Why an agent could not be shut in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// The user of the configuration.
    #[error("there is no user `{0}` here: create it, or correct `user`")]
    NoSuchUser(String),
    /// It is somebody else already.
    #[error("only root can become `{0}`: start it as root or as that user, or leave `user` out")]
    NotRoot(String),
    /// A step that the kernel refused.
    #[error("the kernel did not let it {step}")]
    Step {
        /// What was tried.
        step: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The configuration asks for more than there is.
    #[error("`sandbox: required`, but {0}: use a kernel that has it, or write `sandbox: on`")]
    Incomplete(String),
    /// There are threads already that would stay free.
    #[error("it has {0} threads before its sandbox, of which one would be shut in: this is a mistake in sunfire")]
    Threads(usize),
}

/// What a configuration wants of the guard.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The sandbox.
    pub sandbox: SandboxPolicy,
    /// The user to become.
    pub user: Option<&'a str>,
}

/// Gives way to the applications of the host. A kernel that does not let it is no reason not to start: what became of
/// it is read back ([`Confinement`]). Threads made later inherit both.
pub fn mind(manners: Manners) {
    match manners {
        Manners::Polite => {
            let _as_before = rustix::process::setpriority_process(None, NICE_POLITE);
            let _as_before = ioprio::set_priority(this_thread(), ioprio::Priority::new(ioprio::Class::Idle));
        }
        Manners::Normal => {}
    }
}

/// Whose I/O is meant: that of this thread, and of those that it makes.
pub(crate) fn this_thread() -> ioprio::Target {
    ioprio::Target::Process(ioprio::Pid::from_raw(0))
}

/// Shuts this thread in, and with it all that come after it; says what is in force. Besides what is below the roots,
/// files below the `readable` folders may still be read.
///
/// # Errors
/// If it cannot become the user, or less is in force than is required.
pub fn confine(roots: &Roots, readable: &[PathBuf], wanted: Wanted<'_>) -> Result<Confinement, GuardError> {
    if let Some(name) = wanted.user {
        user::become_user(name)?;
    }
    if wanted.sandbox == SandboxPolicy::Off {
        return Ok(Confinement::none(roots.way()));
    }
    user::drop_capabilities()?;
    let refused = |step| {
        move |errno: rustix::io::Errno| GuardError::Step {
            step,
            source: errno.into(),
        }
    };
    rustix::thread::set_no_new_privs(true).map_err(refused("give up new privileges"))?;
    let landlock = match folders::restrict(roots, readable) {
        Ok((abi, tcp)) => Landlock::InForce { abi, tcp },
        Err(why) => Landlock::Missing(why),
    };
    let seccomp = match calls::restrict() {
        Ok(()) => Seccomp::InForce,
        Err(why) => Seccomp::Missing(why),
    };
    let confinement = Confinement::read(roots.way(), landlock, seccomp);
    match confinement.missing() {
        Some(missing) if wanted.sandbox == SandboxPolicy::Required => Err(GuardError::Incomplete(missing)),
        _ => Ok(confinement),
    }
}

/// The name of the user that this process is, if the host knows one. A confined process may not ask.
pub fn user_name() -> Option<String> {
    user::name()
}

/// Makes sure that no thread would stay free.
///
/// # Errors
/// If this is not the only thread.
pub fn check_alone() -> Result<(), GuardError> {
    // Where there is no /proc nothing can be counted; the runtime of an agent makes no thread before its first work.
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    match threads {
        0 | 1 => Ok(()),
        threads => Err(GuardError::Threads(threads)),
    }
}

//! Users and rights: an agent that is started as root becomes a user of its own, and keeps the right to read any log.
//!
//! `CAP_DAC_READ_SEARCH` is that right. All others go, from the bounding set too, so that nothing can give them back.

use std::io;

use nix::unistd::{User, setgroups, setresgid, setresuid};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::GuardError;

/// What an agent may keep: reading and searching past the permissions of files. It allows no writing.
const KEPT: CapabilitySet = CapabilitySet::DAC_READ_SEARCH;
/// Capabilities are bits of 64; the kernel says which exist.
const CAPABILITY_BITS: u32 = 64;

fn step(step: &'static str) -> impl Fn(io::Error) -> GuardError {
    move |source| GuardError::Step { step, source }
}

/// The name of the user that this process is, if the host knows one.
pub(super) fn name() -> Option<String> {
    let user = User::from_uid(nix::unistd::geteuid()).ok()?;
    user.map(|user| user.name)
}

/// Becomes a user, with what it may keep. Being him already is fine.
pub(super) fn become_user(name: &str) -> Result<(), GuardError> {
    let looked_up = User::from_name(name).map_err(|errno| step("look its user up")(errno.into()))?;
    let user = looked_up.ok_or_else(|| GuardError::NoSuchUser(name.to_owned()))?;
    if rustix::process::geteuid().as_raw() == user.uid.as_raw() && !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        return Err(GuardError::NotRoot(name.to_owned()));
    }
    rustix::thread::set_keep_capabilities(true).map_err(|errno| step("keep a capability")(errno.into()))?;
    shrink_bounding_set();
    // In this order: who has given up his user can't give up his groups any more.
    setgroups(&[user.gid]).map_err(|errno| step("leave its groups")(errno.into()))?;
    setresgid(user.gid, user.gid, user.gid).map_err(|errno| step("change its group")(errno.into()))?;
    setresuid(user.uid, user.uid, user.uid).map_err(|errno| step("change its user")(errno.into()))?;
    drop_capabilities()?;
    rustix::thread::set_keep_capabilities(false).map_err(|errno| step("end keeping")(errno.into()))
}

/// Gives up every capability but the one that may be kept, if it is held.
pub(super) fn drop_capabilities() -> Result<(), GuardError> {
    shrink_bounding_set();
    // Kernels before 4.3 have no ambient set.
    match rustix::thread::clear_ambient_capability_set() {
        Ok(()) | Err(Errno::INVAL) => {}
        Err(errno) => return Err(step("clear its ambient capabilities")(errno.into())),
    }
    let held = rustix::thread::capabilities(None).map_err(|errno| step("ask for its capabilities")(errno.into()))?;
    let kept = held.permitted & KEPT;
    let sets = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, sets).map_err(|errno| step("give up capabilities")(errno.into()))
}

/// Who has not the right to shrink it has no capability to lose either, and can't win one: new privileges are off.
fn shrink_bounding_set() {
    for bit in 0..CAPABILITY_BITS {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        if capability != KEPT && rustix::thread::capability_is_in_bounding_set(capability) == Ok(true) {
            let _no_right_to = rustix::thread::remove_capability_from_bounding_set(capability);
        }
    }
}

//! Landlock: nothing but reading, below the roots, where the host's zone and id stand, and where its certificates are;
//! no TCP.
//!
//! A rule holds for a folder as it is, not for its name: a root that is made anew later is not covered. Then reading
//! there is refused, and [`crate::roots::Roots::seal`] says so. Texts of `/proc` need no rule: they are open already.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use crate::roots::Roots;

/// The newest interface whose every right was looked at; a kernel with an older one refuses what it knows.
const KNOWN: ABI = ABI::V6;
/// The first interface that knows TCP.
const WITH_TCP: ABI = ABI::V4;
/// Where files of zones stand: the target of `/etc/localtime` is among them on nearly every host.
const ZONE_FOLDERS: [&str; 3] = ["/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo"];
/// Single files that an agent reads for each snapshot; a link is followed now.
const FILES: [&str; 2] = ["/etc/localtime", "/etc/machine-id"];

/// Restricts this thread; gives the interface's version, and whether TCP is refused. Or why there is nothing of it.
pub(super) fn restrict(roots: &Roots, readable: &[PathBuf]) -> Result<(u32, bool), String> {
    let status = rules(roots, readable)
        .and_then(RulesetCreated::restrict_self)
        .map_err(|error| error.to_string())?;
    match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => Err("switched off at boot".to_owned()),
        (RulesetStatus::NotEnforced, _) => Err("not in this kernel".to_owned()),
        (_, LandlockStatus::Available { effective_abi, .. }) => Ok((effective_abi as u32, effective_abi >= WITH_TCP)),
        (_, _) => Err("the kernel does not say which".to_owned()),
    }
}

fn rules(roots: &Roots, readable: &[PathBuf]) -> Result<RulesetCreated, RulesetError> {
    let reading = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?
        .create()?;
    for folder in roots.folders() {
        rules = rules.add_rule(PathBeneath::new(folder, reading))?;
    }
    for folder in ZONE_FOLDERS {
        rules = allow(rules, Path::new(folder), reading)?;
    }
    for folder in readable {
        rules = allow(rules, folder, reading)?;
    }
    for file in FILES {
        rules = allow(rules, Path::new(file), AccessFs::ReadFile.into())?;
    }
    Ok(rules)
}

/// Allows what is there; what is not there needs no leave.
fn allow(rules: RulesetCreated, path: &Path, access: BitFlags<AccessFs>) -> Result<RulesetCreated, RulesetError> {
    match PathFd::new(path) {
        Ok(opened) => rules.add_rule(PathBeneath::new(opened, access)),
        Err(_) => Ok(rules),
    }
}

//! Trials in a process of their own, for what can't be undone: a sandbox can't be left again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

/// Set in the process of a trial: the folder it works in.
const CHILD: &str = "SUNFIRE_GUARD_CHILD";

/// Runs `child` in a process of its own: this test binary, started again for `test` alone. It works in a folder made by
/// `prepare`; until it ends, `meanwhile` is called again and again outside of it.
#[track_caller]
pub fn in_child(test: &str, prepare: impl FnOnce(&str), mut meanwhile: impl FnMut(&str), child: impl FnOnce(&str)) {
    if let Some(folder) = std::env::var_os(CHILD) {
        return child(folder.to_str().expect("UTF-8"));
    }
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let base = folder.path().canonicalize().expect("it is there");
    let base = base.to_str().expect("UTF-8");
    prepare(base);
    let said = fs::File::create(format!("{base}/said")).expect("a file");
    let mut command = Command::new(std::env::current_exe().expect("it runs"));
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, base)
        .stdin(Stdio::null())
        .stderr(said.try_clone().expect("a descriptor"))
        .stdout(said);
    let mut running = command.spawn().expect("it runs again");
    let status = loop {
        if let Some(status) = running.try_wait().expect("it is our child") {
            break status;
        }
        meanwhile(base);
    };
    let said = fs::read_to_string(format!("{base}/said")).expect("it said something");
    eprintln!("{said}");
    assert!(status.success(), "{status}");
    assert!(said.contains("1 passed"), "the child ran another test");
}

/// For [`in_child`], where nothing happens meanwhile.
pub fn nothing(_base: &str) {
    std::thread::yield_now();
}

//! Child processes: run them, time them, and read what they say while it is also shown.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context;

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Exit code 0.
    Success,
    /// Another exit code, or a signal.
    Failure,
}

impl From<ExitStatus> for Ending {
    fn from(status: ExitStatus) -> Self {
        if status.success() { Self::Success } else { Self::Failure }
    }
}

/// A command to be run, possibly several times.
#[derive(Debug, Clone)]
pub struct Invocation {
    program: OsString,
    arguments: Vec<OsString>,
    folder: PathBuf,
    environment: Vec<(OsString, OsString)>,
}

impl Invocation {
    /// `program` with `arguments` in `folder`.
    pub fn new(program: impl Into<OsString>, folder: &Path, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(Into::into).collect();
        Self {
            program: program.into(),
            arguments,
            folder: folder.to_owned(),
            environment: Vec::new(),
        }
    }

    /// The cargo that runs this program, or else the one on the path.
    pub fn cargo(folder: &Path, arguments: &[&str]) -> Self {
        Self::new(
            std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
            folder,
            arguments,
        )
    }

    /// Adds variables to the environment; one that is set already keeps its value.
    pub fn with(mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        self.environment.extend(variables);
        self
    }

    /// Runs it with this program's own output.
    pub fn run(&self) -> anyhow::Result<Ending> {
        let status = self.command().status().with_context(|| self.cannot_start())?;
        Ok(status.into())
    }

    /// Whether it runs and succeeds; its output is thrown away.
    pub fn succeeds_silently(&self) -> bool {
        let status = self.command().stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }

    /// What it prints on stdout, if it runs and succeeds; stderr is thrown away.
    pub fn output_if_succeeds(&self) -> Option<String> {
        let output = self.command().stderr(Stdio::null()).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(text)
    }

    /// Runs it, shows its output as it comes, and gives back both streams, mixed line by line.
    pub fn run_and_capture(&self) -> anyhow::Result<(Ending, String)> {
        let mut command = self.command();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| self.cannot_start())?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let captured = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            scope.spawn(|| copy_lines(stdout, std::io::stdout(), &captured));
            scope.spawn(|| copy_lines(stderr, std::io::stderr(), &captured));
        });
        let status = child
            .wait()
            .with_context(|| format!("cannot wait for {}", self.program.display()))?;
        let captured = captured.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok((status.into(), String::from_utf8_lossy(&captured).into_owned()))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.folder);
        let unset = self
            .environment
            .iter()
            .filter(|(name, _)| std::env::var_os(name).is_none());
        command.envs(unset.map(|(name, value)| (name, value)));
        command
    }

    fn cannot_start(&self) -> String {
        format!(
            "cannot start {}; is it installed and on the path?",
            self.program.display()
        )
    }
}

/// Copies whole lines from a child's stream to `shown` and to `captured`. A stream that breaks ends there: the exit
/// status and the missing summary then say that something went wrong.
fn copy_lines(stream: Option<impl Read>, mut shown: impl Write, captured: &Mutex<Vec<u8>>) {
    let Some(stream) = stream else { return };
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        // A closed pipe on our side (`| head`) must not stop the tests, nor the reading that keeps them going.
        drop(shown.write_all(&line));
        captured
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(&line);
        line.clear();
    }
}

/// Does `work` and says how many seconds it took. Chores are timed for people to read; no result depends on it.
#[expect(
    clippy::disallowed_methods,
    reason = "a chore's duration is shown to people; there is nothing to simulate"
)]
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Invocation {
        Invocation::new("sh", Path::new("/"), &["-c", script])
    }

    #[test]
    fn both_streams_and_the_exit_are_captured() {
        let (ending, output) = shell("echo out; echo err >&2; printf last; exit 3")
            .run_and_capture()
            .unwrap();
        assert_eq!(ending, Ending::Failure);
        let mut lines: Vec<&str> = output.split_inclusive(['\n']).collect();
        lines.sort_unstable();
        assert!(
            output.contains("out\n") && output.contains("err\n") && output.contains("last"),
            "{lines:?}"
        );
        assert_eq!(
            shell("exit 0").run_and_capture().unwrap(),
            (Ending::Success, String::new())
        );
    }

    #[test]
    fn variables_reach_the_child() {
        let variable = ("SUNFIRE_XTASK_TEST".into(), "yes".into());
        assert_eq!(
            shell("test \"$SUNFIRE_XTASK_TEST\" = yes")
                .with([variable])
                .run()
                .unwrap(),
            Ending::Success
        );
    }

    #[test]
    fn a_missing_program_is_told() {
        let missing = Invocation::new("sunfire-no-such-program", Path::new("/"), &[]);
        assert!(
            missing
                .run()
                .is_err_and(|error| format!("{error:#}").contains("sunfire-no-such-program"))
        );
        assert!(!missing.succeeds_silently());
        assert_eq!(missing.output_if_succeeds(), None);
        assert_eq!(shell("echo x; exit 1").output_if_succeeds(), None);
        assert_eq!(shell("echo x").output_if_succeeds().as_deref(), Some("x\n"));
        assert!(shell("true").succeeds_silently());
        assert!(!shell("false").succeeds_silently());
    }
}

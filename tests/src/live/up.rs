//! `sunfire up` as a process.

use crate::agents::PATIENCE;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

/// A running `sunfire up`; it is killed when this is dropped.
pub struct Up {
    child: Child,
    binary: PathBuf,
    folder: PathBuf,
    arguments: Vec<String>,
    listen: String,
    /// The console, such as `http://127.0.0.1:41213`.
    pub server: String,
}

impl Up {
    /// Starts one in a folder, its console at any free port, and waits until it is up.
    ///
    /// # Panics
    /// If it does not come up; what it said instead is in the message.
    pub fn start(binary: &Path, folder: &Path, arguments: &[&str]) -> Self {
        Self::start_at(binary, folder, "127.0.0.1:0", arguments)
    }

    /// Starts one whose console listens as told.
    ///
    /// # Panics
    /// As [`Up::start`].
    pub fn start_at(binary: &Path, folder: &Path, listen: &str, arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let (child, server) = spawn(binary, folder, &arguments, listen);
        Self {
            child,
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            arguments,
            listen: listen.to_owned(),
            server,
        }
    }

    /// Kills it as a power cut would, and starts it again over the same folder.
    ///
    /// # Panics
    /// If it does not come up again.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.restart();
    }

    /// Kills it as a power cut would.
    ///
    /// # Panics
    /// If it is gone already.
    pub fn kill(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        kill(pid, Signal::SIGKILL).expect("it is there");
        self.child.wait().expect("it is our child");
    }

    /// Starts it again over the same folder; the port may be another.
    ///
    /// # Panics
    /// If it does not come up again.
    pub fn restart(&mut self) {
        let (child, server) = spawn(&self.binary, &self.folder, &self.arguments, &self.listen);
        self.child = child;
        self.server = server;
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

fn spawn(binary: &Path, folder: &Path, arguments: &[String], listen: &str) -> (Child, String) {
    let mut command = Command::new(binary);
    command
        .current_dir(folder)
        .args(["up", "--listen", listen])
        .args(arguments)
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the built binary runs");
    let stderr = child.stderr.take().expect("it is piped");
    let (say, said) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let _nobody_listens = say.send(line);
        }
    });
    let line = said.recv_timeout(PATIENCE).unwrap_or_default();
    let Some((_, server)) = line.split_once("sunfire is up: ") else {
        let _gone = child.kill();
        panic!("it did not come up: {line} {:?}", said.try_iter().collect::<Vec<_>>());
    };
    (child, server.to_owned())
}

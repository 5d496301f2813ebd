//! A ConfigDB as the commands see it: what it holds, and how it is changed, in a folder or in etcd.

use super::PlaceArguments;
use super::difference::difference;
use super::folder::Folder;
use crate::exit::{Exit, Failure};
use crate::nodes::hostname;
use configdb::apply::{ApplyError, Conflict, Edit, Held, Snapshot, Version};
use configdb::{Connection, Place as EtcdPlace, apply as store};
use lika::seam::{Clock, Randomness};
use std::path::PathBuf;
use std::sync::Arc;

/// Where `sunfire up` has its configuration.
const FOLDER_DEFAULT: &str = "sunfire-data/config";

/// The environment variable that names an etcd.
const ENVIRONMENT: &str = "SUNFIRE_ETCD";

/// A ConfigDB.
pub enum Place {
    /// A folder of YAML files.
    Folder(Folder),
    /// etcd.
    Etcd(Arc<Connection>),
}

impl Place {
    /// The one that the arguments name.
    ///
    /// # Errors
    /// If they name none, or none that could be.
    pub fn of(arguments: &PlaceArguments) -> Result<Place, Failure> {
        if let Some(folder) = &arguments.config {
            return Ok(Place::Folder(Folder::new(folder)));
        }
        let given = std::env::var(ENVIRONMENT).unwrap_or_default();
        let of_environment = given
            .split(',')
            .filter(|endpoint| !endpoint.is_empty())
            .map(str::to_owned);
        let endpoints = match arguments.etcd.is_empty() {
            true => of_environment.collect(),
            false => arguments.etcd.clone(),
        };
        let folder = PathBuf::from(FOLDER_DEFAULT);
        if endpoints.is_empty() && folder.is_dir() {
            return Ok(Place::Folder(Folder::new(&folder)));
        }
        if endpoints.is_empty() {
            return Err(Failure::usage(format!(
                "which ConfigDB? name an etcd by `--etcd http://127.0.0.1:2379`, or a folder by `--config DIR` (there \
                 is no ./{FOLDER_DEFAULT})"
            )));
        }
        let prefix = arguments.prefix.clone();
        let connection = Connection::open(
            &EtcdPlace { endpoints, prefix },
            &Clock::system(),
            &Randomness::system()?,
        );
        Ok(Place::Etcd(Arc::new(connection.map_err(Failure::usage)?)))
    }

    /// All that it holds.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn snapshot(&self) -> Result<Snapshot, Failure> {
        match self {
            Place::Folder(folder) => folder.snapshot(),
            Place::Etcd(connection) => {
                let (client, keys) = (connection.client().clone(), connection.keys().clone());
                let read = connection.call(async move { store::snapshot(&client, &keys).await });
                read.map_err(|error| unreachable(&error))
            }
        }
    }

    /// Changes it as was decided upon a snapshot.
    ///
    /// # Errors
    /// If it is not as in the snapshot any more, or can't be written.
    pub fn commit(&self, snapshot: &Snapshot, edits: Vec<Edit>) -> Result<(), Failure> {
        let connection = match self {
            Place::Folder(folder) => return folder.commit(&edits),
            Place::Etcd(connection) => Arc::clone(connection),
        };
        let snapshot = snapshot.clone();
        let applied = self.wait(&connection.clone(), async move {
            store::apply(&connection, &snapshot, &edits, &who()).await
        });
        match applied? {
            Ok(transactions) if transactions > 1 => {
                eprintln!("written in {transactions} transactions, each of them at once");
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) => Err(refused(&error)),
        }
    }

    /// The versions of a document, oldest first.
    ///
    /// # Errors
    /// If there are none, or etcd does not answer.
    pub fn history(&self, kind: &str, name: &str) -> Result<Vec<Version>, Failure> {
        let connection = match self {
            Place::Folder(_) => {
                return Err(Failure::usage(
                    "a folder has no history of its own: keep it under version control",
                ));
            }
            Place::Etcd(connection) => connection,
        };
        let (client, keys) = (connection.client().clone(), connection.keys().clone());
        let (of_kind, of_name) = (kind.to_owned(), name.to_owned());
        let read = connection.call(async move { store::history(&client, &keys, &of_kind, &of_name).await });
        read.map_err(|error| unreachable(&error))
    }

    fn wait<T: Send + 'static>(
        &self,
        connection: &Connection,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Failure> {
        let lost = || anyhow::anyhow!("the work on etcd's thread panicked; please report it").into();
        connection.wait(work).ok_or_else(lost)
    }
}

fn unreachable(error: &configdb::Error) -> Failure {
    let exit = match error {
        configdb::Error::Unreachable { .. } => Exit::Unreachable,
        _ => Exit::Failed,
    };
    Failure {
        exit,
        message: error.to_string(),
    }
}

fn refused(error: &ApplyError) -> Failure {
    match error {
        ApplyError::Etcd(error)
        | ApplyError::Broke {
            source: error,
            written: 0,
            ..
        } => Failure {
            message: format!("{error}; see by `sunfire diff` whether it was written"),
            ..unreachable(error)
        },
        ApplyError::Conflict { conflicts, written } => {
            let told: String = conflicts.iter().map(conflict).collect();
            let written = match written {
                0 => "nothing was written".to_owned(),
                written => format!("{written} documents were written before"),
            };
            Failure {
                exit: Exit::Failed,
                message: format!("{error}; {written}. Look at what changed, and apply again:\n{told}"),
            }
        }
        error => anyhow::anyhow!("{error}").into(),
    }
}

/// What somebody else did to a document.
fn conflict(conflict: &Conflict) -> String {
    let Conflict {
        kind,
        name,
        before,
        now,
    } = conflict;
    let did = match (before, now) {
        (_, None) => "removed",
        (None, Some(_)) => "made",
        (Some(_), Some(_)) => "changed",
    };
    let shown = difference(
        before.as_deref().unwrap_or_default(),
        now.as_deref().unwrap_or_default(),
    );
    format!("{kind} {name} was {did}:\n{shown}")
}

/// Who writes, for the history.
fn who() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    format!("{}@{}", user.unwrap_or_else(|_| "somebody".to_owned()), hostname())
}

/// What is held, in order.
pub fn sorted(mut held: Vec<Held>) -> Vec<Held> {
    held.sort_by(|one, other| (&one.kind, &one.name).cmp(&(&other.kind, &other.name)));
    held
}

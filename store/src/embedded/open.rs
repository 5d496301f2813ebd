//! From a data directory to an open file, or to a sentence that says what is wrong with it.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{Database, DatabaseError, Error, ReadableDatabase, StorageError, TableHandle};

use super::tables::{FACT_FORMAT, FACTS, if_there, make_all};

/// The store's file within its data directory.
pub const FILE_NAME: &str = "points.redb";
/// Version of tables and rows. A store never opens a file of a version that it does not know.
pub(super) const FORMAT: u64 = 1;
/// Memory for pages of the file, read and written. Charts read what was written last, which is then still here; the
/// rest is in the system's page cache anyway.
const CACHE_BYTES_MAX: usize = 64 << 20;
/// A file up to this is verified as a whole whenever it is opened, which takes some seconds at most; a larger one only
/// after a crash, where it must be. What is damaged later, or in a larger file, is found row by row when it is read.
const VERIFY_BYTES_MAX: u64 = 1 << 30;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it.
    #[error("another sunfire uses {}: stop it, or give this one a data directory of its own", file.display())]
    InUse {
        /// The file.
        file: PathBuf,
    },
    /// A later build wrote it.
    #[error(
        "{} has format {found}, and this build knows {known}: run the newer sunfire that wrote it, or give this one a \
         data directory of its own", file.display()
    )]
    NewerFormat {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: u64,
        /// Ours.
        known: u64,
    },
    /// Something else is in the file.
    #[error("{} is not a store of sunfire ({why}): move it away, or name another data directory", file.display())]
    NotAStore {
        /// The file.
        file: PathBuf,
        /// Why it cannot be one.
        why: String,
    },
    /// It was a store once.
    #[error("{} is damaged ({why}): restore it from a copy, or move it away to begin anew", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// The system says no.
    #[error("{} cannot be used: see that the directory can be written and the disk has room", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Opens the file in a data directory; both are made if they are missing.
pub(super) fn open(directory: &Path) -> Result<Database, OpenError> {
    let file = directory.join(FILE_NAME);
    let unusable = |source| OpenError::Io {
        file: file.clone(),
        source,
    };
    std::fs::create_dir_all(directory).map_err(unusable)?;
    let bytes = std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
    let database = open_by(&file, || builder(bytes).create(&file))?;
    // A file whose name is not on the disk is lost with the power.
    File::open(directory).and_then(|it| it.sync_all()).map_err(unusable)?;
    Ok(database)
}

/// How a file of so many bytes is opened.
pub(super) fn builder(bytes: u64) -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES_MAX);
    builder.set_check_integrity_on_open(bytes <= VERIFY_BYTES_MAX);
    builder
}

/// Opens `file` by `create`, and makes sure that it is a store, of a format that we know.
pub(super) fn open_by(
    file: &Path,
    create: impl FnOnce() -> Result<Database, DatabaseError>,
) -> Result<Database, OpenError> {
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let database = create().map_err(Opening::Database)?;
        check_format(&database)?;
        Ok(database)
    }));
    // redb says that it may panic on a file that something else has written into.
    let opened = opened.unwrap_or_else(|_| Err(Opening::Other(Error::Corrupted("its pages make no sense".to_owned()))));
    opened.map_err(|error| error.of(file.to_owned()))
}

/// What can go wrong, before it is told which file it is.
enum Opening {
    Database(DatabaseError),
    Other(Error),
    Newer(u64),
    Foreign(String),
}

impl<E: Into<Error>> From<E> for Opening {
    fn from(error: E) -> Opening {
        Opening::Other(error.into())
    }
}

impl Opening {
    fn of(self, file: PathBuf) -> OpenError {
        match self {
            Opening::Database(DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch) => {
                OpenError::InUse { file }
            }
            Opening::Database(DatabaseError::Storage(StorageError::Io(source))) => {
                Opening::Other(Error::Io(source)).of(file)
            }
            Opening::Database(error) => Opening::Other(error.into()).of(file),
            Opening::Newer(found) => OpenError::NewerFormat {
                file,
                found,
                known: FORMAT,
            },
            Opening::Foreign(why) => OpenError::NotAStore { file, why },
            Opening::Other(Error::Io(source)) => match source.kind() {
                io::ErrorKind::InvalidData => OpenError::NotAStore {
                    file,
                    why: source.to_string(),
                },
                io::ErrorKind::UnexpectedEof => OpenError::Damaged {
                    file,
                    why: "it is shorter than it says".to_owned(),
                },
                _ => OpenError::Io { file, source },
            },
            Opening::Other(error) => OpenError::Damaged {
                file,
                why: error.to_string(),
            },
        }
    }
}

fn check_format(database: &Database) -> Result<(), Opening> {
    let transaction = database.begin_read()?;
    if let Some(facts) = if_there(transaction.open_table(FACTS))?
        && let Some(format) = redb::ReadableTable::get(&facts, FACT_FORMAT)?
    {
        return match format.value() {
            FORMAT => Ok(()),
            found if found > FORMAT => Err(Opening::Newer(found)),
            found => Err(Opening::Foreign(format!("its format is {found}"))),
        };
    }
    if let Some(table) = transaction.list_tables()?.next() {
        return Err(Opening::Foreign(format!("it holds a table named {}", table.name())));
    }
    drop(transaction);
    let transaction = database.begin_write()?;
    transaction.open_table(FACTS)?.insert(FACT_FORMAT, FORMAT)?;
    make_all(&transaction)?;
    transaction.commit()?;
    Ok(())
}

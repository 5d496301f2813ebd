//! Where a Brain's configuration is, and where it keeps what must last: in folders, or in etcd.

use crate::epoch::{DataDirectory, DataError};
use crate::lasting::Lasting;
use crate::lasting_etcd::EtcdLasting;
use configdb::{EtcdDocuments, Term};
use configs::{Directory, Documents};
use std::path::PathBuf;

/// Where that is.
pub enum Keeping {
    /// In folders of this machine, which allows one Brain.
    Folders {
        /// The ConfigDB: a directory of YAML files.
        config: PathBuf,
        /// Where epochs, the history of the inventory and the versions of monitors are kept.
        data: PathBuf,
    },
    /// In etcd, for as long as this Brain leads.
    Etcd {
        /// Its term.
        term: Term,
        /// Where relative `file_sd` globs begin.
        files: PathBuf,
    },
}

/// What a keeper works with.
pub(crate) struct Kept {
    pub(crate) configdb: Box<dyn Documents>,
    pub(crate) lasting: Box<dyn Lasting>,
}

impl Keeping {
    /// `texts` are further documents of the ConfigDB that the process itself gives.
    pub(crate) fn open(self, texts: &[(String, String)]) -> Result<Kept, DataError> {
        match self {
            Keeping::Folders { config, data } => Ok(Kept {
                configdb: Box::new(Directory::new(&config, texts)),
                lasting: Box::new(DataDirectory::open(&data)?),
            }),
            Keeping::Etcd { term, files } => Ok(Kept {
                configdb: Box::new(EtcdDocuments::follow(term.connection(), &files, texts)),
                lasting: Box::new(EtcdLasting::open(term)?),
            }),
        }
    }
}

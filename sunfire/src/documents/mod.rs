//! `sunfire apply`, `get`, `diff`, `delete` and `history`: the ConfigDB by hand, in a folder or in etcd.
//!
//! Whatever is to be written is validated together with what stays, before anything is: a set with a mistake changes
//! nothing. Between a folder and etcd the same commands import and export: `apply DIR`, and `get --all --output DIR`.

mod changes;
mod commands;
mod difference;
mod folder;
mod place;

pub use commands::{apply, delete, diff, drain, get, history};

use clap::Args;
use std::path::PathBuf;

/// Which ConfigDB.
#[derive(Debug, Clone, Args)]
pub struct PlaceArguments {
    /// Members of an etcd, separated by commas: http://127.0.0.1:2379 [default: SUNFIRE_ETCD of the environment]
    #[arg(long, value_name = "URLS", value_delimiter = ',', conflicts_with = "config")]
    pub etcd: Vec<String>,
    /// What all its keys begin with
    #[arg(long, value_name = "PREFIX", default_value = configdb::keys::PREFIX_DEFAULT)]
    pub prefix: String,
    /// A folder of YAML files instead [default: ./sunfire-data/config, that of `sunfire up`]
    #[arg(long, value_name = "DIR")]
    pub config: Option<PathBuf>,
}

/// Arguments of `apply`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  sunfire apply monitors/ --etcd http://127.0.0.1:2379
  sunfire apply config/ --prune --etcd http://127.0.0.1:2379     # import: etcd holds what the folder does, and no more
  sunfire apply pay.yaml --config sunfire-data/config

Documents that are not named stay as they are. All are validated together before the first is written. In etcd each is
written only if nobody changed it meanwhile; 42 documents are one transaction, many more are several, in their order:
applications first, removals last.")]
pub struct ApplyArguments {
    /// YAML files, or folders of them
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// Remove what is not in these files
    #[arg(long)]
    pub prune: bool,
    /// Which ConfigDB
    #[command(flatten)]
    pub place: PlaceArguments,
}

/// Arguments of `get`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  sunfire get                                 # kind and name of every document
  sunfire get monitor pay                     # one, as it was written
  sunfire get --all --output config/          # export: a file for each")]
pub struct GetArguments {
    /// Only of this kind
    pub kind: Option<String>,
    /// Only this one
    pub name: Option<String>,
    /// The texts of all of them, not their names
    #[arg(long)]
    pub all: bool,
    /// Write each to a file of its own below a folder, KIND/NAME.yaml
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Which ConfigDB
    #[command(flatten)]
    pub place: PlaceArguments,
}

/// Arguments of `diff`.
#[derive(Debug, Args)]
#[command(after_long_help = "What `apply` would change, line by line; nothing is printed if that is nothing.")]
pub struct DiffArguments {
    /// YAML files, or folders of them
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// Show what is not in these files as removed
    #[arg(long)]
    pub prune: bool,
    /// Which ConfigDB
    #[command(flatten)]
    pub place: PlaceArguments,
}

/// Arguments of `delete`.
#[derive(Debug, Args)]
pub struct DeleteArguments {
    /// The kind: monitor, app, …
    pub kind: String,
    /// Their names
    #[arg(required = true)]
    pub names: Vec<String>,
    /// Which ConfigDB
    #[command(flatten)]
    pub place: PlaceArguments,
}

/// Arguments of `history`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  sunfire history monitor pay                                  # its versions: number, time, who, from where
  sunfire history monitor pay --show 3 > pay.yaml && sunfire apply pay.yaml    # back to one of them

etcd keeps the last 50 versions of each document; a folder has none: keep it under version control.")]
pub struct HistoryArguments {
    /// The kind: monitor, app, …
    pub kind: String,
    /// The name
    pub name: String,
    /// Print the text of this version
    #[arg(long, value_name = "N")]
    pub show: Option<u64>,
    /// Which ConfigDB
    #[command(flatten)]
    pub place: PlaceArguments,
}

/// Arguments of `drain`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  sunfire drain map-2 --why 'new kernel' --etcd http://127.0.0.1:2379
  sunfire status                                 # says when nothing is left there, and it can be stopped
  sunfire drain map-2 --undo

It is a document, `kind: drain`, in the ConfigDB: it outlives every process, and stays until it is undone. The node goes
on running; other Maps or Reduces take over what it has, as they would if it had died, and no window is lost. If every
node of a role is drained, all go on working.")]
pub struct DrainArguments {
    /// The node's name, as the Brain's file has it
    pub node: String,
    /// Why, for whoever wonders
    #[arg(long, value_name = "TEXT", conflicts_with = "undo")]
    pub why: Option<String>,
    /// Give it work again
    #[arg(long)]
    pub undo: bool,
    /// Which ConfigDB
    #[command(flatten)]
    pub place: PlaceArguments,
}

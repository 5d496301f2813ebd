//! The command line: one declaration makes parsing, help, completions and the manual page.

use crate::client::ServerArguments;
use crate::documents::{
    ApplyArguments, DeleteArguments, DiffArguments, DrainArguments, GetArguments, HistoryArguments,
};
use crate::exit::Exit;
use crate::output::Format;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::io::Write;
use std::path::PathBuf;

/// Logs of thousands of hosts as metrics within seconds, each value with how complete it is.
#[derive(Debug, Parser)]
#[command(name = "sunfire", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Count the records of local log files by a monitor: the engine without a cluster
    Eval(EvalArguments),
    /// Say what is found in a log: timestamp, zone, order, and why
    Detect(DetectArguments),
    /// Validate configuration files; exits 78 with file:line:column and a hint on a mistake
    Check(CheckArguments),
    /// Run the agent of a host: it finds log bytes below its roots and sends them to those who pull
    Agent(RoleArguments),
    /// Run a Map of a cluster: it pulls logs from agents and counts
    Map(RoleArguments),
    /// Run a Reduce of a cluster: it merges what Maps count into points
    Reduce(RoleArguments),
    /// Run the Brain of a cluster: it reads the configuration, and plans who counts what
    Brain(RoleArguments),
    /// Run a console of a cluster: what people and programs ask, with the store of points or beside it
    Console(RoleArguments),
    /// Run every role in one process, with a web console; named logs are charted without a line of YAML
    Up(UpArguments),
    /// Watch completeness: a simulated shop of 20 hosts that write real log files, and faults now and then
    Demo(DemoArguments),
    /// Ask a running console; exits 0 if the answer is complete, 3 if it is not
    Query(QueryArguments),
    /// Write documents of the ConfigDB: a folder, or etcd
    Apply(ApplyArguments),
    /// Print documents of the ConfigDB, or write them to a folder
    Get(GetArguments),
    /// Show what `apply` would change
    Diff(DiffArguments),
    /// Remove documents of the ConfigDB
    Delete(DeleteArguments),
    /// Show the versions of a document
    History(HistoryArguments),
    /// Take the work from a Map or a Reduce, without a hole, and give it none until told otherwise
    Drain(DrainArguments),
    /// Say what runs where, who is expected, and which windows are below 100 % and why
    Status(StatusArguments),
    /// Print the JSON Schema of the configuration
    Schema,
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
    /// Print the version
    Version,
}

/// Arguments of `eval`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  sunfire eval 'select count(), sum(body_bytes_sent) parse nginx group by status every 1m' access.log
  sunfire eval pay.yaml pay.log.1 pay.log --chain --from 2026-11-23T07:00:00Z --to 2026-11-23T08:00:00Z
  sunfire eval \"select * where line contains 'ERROR' order by time desc limit 20\" app.log

Each file is a host of its own, named by its path; files merge unless grouped by `host` or `file`.
Exits 3 if the answer is incomplete: a file without timestamps, or records lost.")]
pub struct EvalArguments {
    /// A YAML file with one monitor (or FILE#NAME), or an MQL string, which may ask for the records: select * …
    pub monitor: String,
    /// Log files
    #[arg(required = true)]
    pub logs: Vec<PathBuf>,
    /// Only windows that begin at this time or later: RFC 3339, or a distance before now such as 30m
    #[arg(long, value_name = "T")]
    pub from: Option<String>,
    /// Only windows that begin before this time
    #[arg(long, value_name = "T")]
    pub to: Option<String>,
    /// Zone of stamps without one: an IANA name or an offset [default: the monitor's, else this machine's]
    #[arg(long, value_name = "ZONE")]
    pub tz: Option<String>,
    /// The files are one rotation chain of one host, oldest first
    #[arg(long)]
    pub chain: bool,
    /// Print windows without records too, between the first and the last
    #[arg(long)]
    pub fill: bool,
    /// Threads that count [default: the processors of this machine]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub threads: Option<u16>,
    /// Format of the answer [default: table on a terminal, else json]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
}

/// Arguments of `detect`.
#[derive(Debug, Args)]
pub struct DetectArguments {
    /// Log files
    #[arg(required = true)]
    pub logs: Vec<PathBuf>,
    /// Zone of stamps without one: an IANA name or an offset [default: this machine's]
    #[arg(long, value_name = "ZONE")]
    pub tz: Option<String>,
    /// Format of the answer [default: table on a terminal, else json]
    #[arg(long, value_enum)]
    pub format: Option<DetectFormat>,
}

/// The formats of `detect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DetectFormat {
    /// One JSON object a file.
    Json,
    /// For people.
    Table,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// YAML files, or folders of them
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
}

/// Arguments of a role.
#[derive(Debug, Args)]
#[command(
    after_long_help = "The file says the `role`, where to listen, and what that role needs to know;
configs/examples has one of each, and configs/examples/cluster a whole cluster. Relative paths in it begin at
its own folder. One line on stderr says the address once it listens; warnings follow there (more with
SUNFIRE_LOG=debug). SIGTERM ends it in order."
)]
pub struct RoleArguments {
    /// The node's own file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Arguments of `up`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  sunfire up
  sunfire up /var/log/*.log
  sunfire up --listen 0.0.0.0:7800 --token-file /etc/sunfire/token

The first start writes a starter configuration; files that are added or changed there take effect within seconds. The
agent of this machine reads what the user who starts `up` may read. Points outlive a restart, and what was missed
meanwhile is read from the logs.")]
pub struct UpArguments {
    /// Logs to chart: detected, counted per second and by what looks like a level or a status
    pub logs: Vec<PathBuf>,
    /// The configuration's folder [default: ./sunfire-data/config]
    #[arg(long, value_name = "DIR")]
    pub config: Option<PathBuf>,
    /// The folder of points and of what must last [default: ./sunfire-data/data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where the console listens [default: 127.0.0.1:7800]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// A file with the token that the agents of the inventory ask for [default: they are open on loopback]
    #[arg(long, value_name = "FILE")]
    pub agents_token_file: Option<PathBuf>,
    /// A file with the bearer token that the console asks for; needed beyond loopback
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
#[command(
    after_long_help = "The first five minutes tell what completeness means: a host dies and comes back, one stalls,
a log is emptied, a host joins, records come late. Each is said on stderr, with what to look at. Then it goes on as the
seed draws."
)]
pub struct DemoArguments {
    /// Where everything goes [default: ./sunfire-demo]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Where the console listens [default: 127.0.0.1:7800]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Hosts of the shop
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(2..=200))]
    pub hosts: u16,
    /// What is drawn is drawn from this
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Let nothing happen
    #[arg(long)]
    pub no_faults: bool,
    /// Do not open the page in a browser
    #[arg(long)]
    pub no_browser: bool,
    /// How many times faster the story is told
    #[arg(long, value_name = "N", default_value_t = 1, hide = true)]
    pub story_speed: u64,
}

/// Arguments of `query`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  sunfire query 'select sum(requests) from sunfire_http since 5m'
  sunfire query \"select * from pay where op = 'refund' since 1h\" --format csv
  sunfire query 'select total from pay, pay offset 7d as last_week group by op every 1m topk 5 by total'
  sunfire query 'select p99_ms from sunfire_http every 1m' --explain
  sunfire query \"select count() as n from log '/var/log/app.log' where app = 'shop' every 10s since 30m\"
  sunfire query \"select * from log pay where op = 'refund' from 10m to 5m limit 50\"")]
pub struct QueryArguments {
    /// The question, in MQL
    pub query: String,
    /// Which console
    #[command(flatten)]
    pub server: ServerArguments,
    /// Format of the answer [default: table on a terminal, else json]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// The answer as JSON, one object a line: the same as --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// Say what the question means instead of answering it: what is read, how it merges, what is made of it
    #[arg(long, conflicts_with = "format")]
    pub explain: bool,
    /// Bytes of logs that a question to logs may read, such as 500MiB; hosts beyond it are `over_budget`
    #[arg(long, value_name = "BYTES")]
    pub budget: Option<String>,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArguments {
    /// Which console
    #[command(flatten)]
    pub server: ServerArguments,
}

/// Prints completions for a shell.
pub fn print_completions(shell: clap_complete::Shell) {
    clap_complete::generate(shell, &mut Cli::command(), "sunfire", &mut std::io::stdout());
}

/// Prints the manual page.
///
/// # Errors
/// If stdout can't be written.
pub fn print_manual() -> std::io::Result<Exit> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    std::io::stdout().write_all(&page)?;
    Ok(Exit::Complete)
}

//! The folders of `sunfire up`, and the configuration that a first start writes: something real to look at, and an
//! example to change.

use crate::cli::UpArguments;
use crate::exit::Failure;
use anyhow::Context;
use std::fs;
use std::path::{Path, PathBuf};

/// Where everything goes unless it is told otherwise.
const HOME: &str = "sunfire-data";
/// The name of the application that is this machine.
pub const APP: &str = "local";
/// The file that a first start writes.
const STARTER: &str = "sunfire.yaml";

/// Where `up` keeps things; absolute.
#[derive(Debug)]
pub struct Folders {
    /// The ConfigDB.
    pub config: PathBuf,
    /// Points, epochs, history.
    pub data: PathBuf,
    /// The console's own access log.
    pub access_log: PathBuf,
}

impl Folders {
    /// Makes the folders, and writes the starter configuration where there is no configuration yet.
    ///
    /// # Errors
    /// If they can't be written.
    pub fn prepare(arguments: &UpArguments) -> Result<Self, Failure> {
        let given = |folder: &Option<PathBuf>, name: &str| folder.clone().unwrap_or_else(|| Path::new(HOME).join(name));
        let is_new = |folder: &Path| fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
        let (config, data) = (given(&arguments.config, "config"), given(&arguments.data, "data"));
        let writes_starter = is_new(&config);
        for folder in [&config, &data, &data.join("logs")] {
            fs::create_dir_all(folder).with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        }
        let real = |folder: &Path| {
            folder
                .canonicalize()
                .with_context(|| format!("the folder {} cannot be used", folder.display()))
        };
        let folders = Self {
            config: real(&config)?,
            access_log: real(&data)?.join("logs/http.log"),
            data: real(&data)?,
        };
        if writes_starter {
            folders.write_starter()?;
        }
        Ok(folders)
    }

    fn write_starter(&self) -> Result<(), Failure> {
        let path = self.config.join(STARTER);
        let text = starter(&self.access_log);
        fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(())
    }
}

/// The monitor that a first start has: Sunfire's own requests.
fn starter(access_log: &Path) -> String {
    let log = serde_json::Value::from(access_log.to_string_lossy()).to_string();
    format!(
        "# Written by the first `sunfire up`. Change it, or put more files beside it: they take effect within seconds.
# `sunfire check {STARTER}` says what is wrong with a file before it is used.
kind: monitor
name: sunfire_http
app: {APP}                  # this machine; other applications name their hosts in a document `kind: app`
log: {log}
parse: logfmt
group_by: [{{ field('path'): path }}, status]   # `path` alone would be the log's own path
select:
  requests: count()
  p99_ms: p99(ms)
window: 1s
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use configs::expr::Column;

    #[test]
    fn the_starter_configuration_is_a_good_one() {
        let text = starter(Path::new("/var/lib/it's \"here\"/http.log"));
        let documents = configs::load_str(STARTER, &text).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        let [configs::Document::Monitor(monitor)] = documents.as_slice() else {
            panic!("{documents:?}")
        };
        assert_eq!(monitor.log.as_deref(), Some("/var/lib/it's \"here\"/http.log"));
        assert_eq!((monitor.name.as_str(), monitor.window_ms), ("sunfire_http", 1000));
        let path = &monitor.group_by[0];
        assert_eq!((path.name.as_str(), &path.column), ("path", &Column::Field("path".to_owned())));
    }
}

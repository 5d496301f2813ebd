//! `sunfire check`: validates configuration without using it.

use crate::cli::CheckArguments;
use crate::exit::{Exit, Failure};
use configs::Document;
use map::plan::Plan;

/// Validates files and folders; every mistake is printed, not just the first.
pub fn run(arguments: &CheckArguments) -> Result<Exit, Failure> {
    let mut monitors = 0;
    let mut apps = 0;
    let mut nodes = 0;
    let mut mistakes = 0;
    for path in &arguments.paths {
        let loaded = match configs::load_path(path) {
            Ok(loaded) => loaded,
            Err(diagnostics) => {
                mistakes += diagnostics.len();
                diagnostics.iter().for_each(|diagnostic| println!("{diagnostic}"));
                continue;
            }
        };
        loaded
            .warnings
            .iter()
            .for_each(|warning| eprintln!("warning: {warning}"));
        for document in &loaded.documents {
            match document {
                Document::App(_) => apps += 1,
                Document::Node(_) => nodes += 1,
                Document::Monitor(monitor) => {
                    monitors += 1;
                    if let Err(error) = Plan::new(monitor) {
                        mistakes += 1;
                        println!("{}: monitor {}: {error}", path.display(), monitor.name);
                    }
                }
            }
        }
    }
    if mistakes > 0 {
        return Err(Failure::configuration(format!(
            "{mistakes} mistakes; nothing of these files would be used"
        )));
    }
    eprintln!("ok: {monitors} monitors, {apps} applications, {nodes} files of nodes");
    Ok(Exit::Complete)
}

//! `sunfire check`: validates configuration without using it.

use crate::cli::CheckArguments;
use crate::exit::{Exit, Failure};
use configs::Document;
use configs::cost::Estimate;
use configs::expr::Column;
use map::plan::Plan;

/// Validates files and folders; every mistake is printed, not just the first.
pub fn run(arguments: &CheckArguments) -> Result<Exit, Failure> {
    let mut monitors = 0;
    let mut apps = 0;
    let mut tenants = 0;
    let mut drains = 0;
    let mut nodes = 0;
    let mut mistakes: u64 = 0;
    for path in &arguments.paths {
        let loaded = match configs::load_path(path) {
            Ok(loaded) => loaded,
            Err(diagnostics) => {
                mistakes += diagnostics.iter().map(|one| u64::from(one.count)).sum::<u64>();
                diagnostics.iter().for_each(|diagnostic| println!("{diagnostic}"));
                continue;
            }
        };
        loaded
            .warnings
            .iter()
            .for_each(|warning| eprintln!("warning: {warning}"));
        for warning in bare_labels(&loaded.documents) {
            eprintln!("warning: {}: {warning}", path.display());
        }
        for document in &loaded.documents {
            match document {
                Document::App(_) => apps += 1,
                Document::Tenant(_) => tenants += 1,
                Document::Drain(_) => drains += 1,
                Document::Node(_) => nodes += 1,
                Document::Monitor(monitor) => {
                    monitors += 1;
                    match Plan::new(monitor) {
                        Err(error) => {
                            mistakes += 1;
                            println!("{}: monitor {}: {error}", path.display(), monitor.name);
                        }
                        Ok(_) if monitor.log.is_none() => {}
                        Ok(_) => {
                            let told = Estimate::of(monitor).told(monitor.limits.cpu_us_per_s);
                            eprintln!("monitor {}: {told}", monitor.name);
                        }
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
    let drained = match drains {
        0 => String::new(),
        _ => format!(", {drains} drained nodes"),
    };
    eprintln!("ok: {monitors} monitors, {apps} applications, {tenants} tenants, {nodes} files of nodes{drained}");
    Ok(Exit::Complete)
}

/// Bare words that group and are no field for sure, but a label of the app's hosts: they mean the record's field.
fn bare_labels(documents: &[Document]) -> Vec<String> {
    let apps = || {
        documents.iter().filter_map(|document| match document {
            Document::App(app) => Some(app),
            Document::Monitor(_) | Document::Tenant(_) | Document::Drain(_) | Document::Node(_) => None,
        })
    };
    let mut warnings = Vec::new();
    for document in documents {
        let Document::Monitor(monitor) = document else { continue };
        let fields = monitor
            .parse
            .as_ref()
            .and_then(logline::fields::Rule::fields)
            .unwrap_or_default();
        let hosts = || {
            let apps = apps().filter(|app| Some(&app.name) == monitor.app.as_ref());
            apps.flat_map(|app| &app.hosts)
        };
        for group in &monitor.group_by {
            let Column::Field(name) = &group.column else { continue };
            if !fields.contains(name) && hosts().any(|host| host.labels.contains_key(name)) {
                warnings.push(format!(
                    "monitor {}: `{name}` is the record's field; the label of its hosts is label('{name}')",
                    monitor.name
                ));
            }
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(group_by: &str, parse: &str, expected: usize) {
        let text = format!(
            "kind: app\nname: shop\nhosts:\n- {{ host: h1, address: '127.0.0.1:7801', labels: {{ unit: a }} }}\n---\n\
             kind: monitor\nname: pay\napp: shop\nlog: /logs/pay.log\nparse: {parse}\ngroup_by: [\"{group_by}\"]\n\
             select: {{ n: count() }}\n"
        );
        let documents = configs::load_str("it", &text).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        assert_eq!(bare_labels(&documents).len(), expected, "{group_by}");
    }

    #[test]
    fn a_label_that_is_written_as_a_field_is_pointed_out() {
        check("unit", "logfmt", 1);
        check("label('unit')", "logfmt", 0);
        check("op", "logfmt", 0);
        check("unit", "{ split: { by: '|', fields: [unit, cost] } }", 0);
    }
}

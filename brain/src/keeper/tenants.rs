//! Whose monitors are, and what tenants may cost: as the documents say it that are in force.

use configs::monitor::Monitor;
use configs::tenant::Limits;
use configs::{Document, Placed};
use map::protocol::Tenant;
use std::collections::BTreeMap;

/// Limits of tenants, and the tenants of applications, by name.
#[derive(Debug, Default)]
pub(super) struct Tenants {
    limits: BTreeMap<String, Limits>,
    of_apps: BTreeMap<String, String>,
}

impl Tenants {
    pub(super) fn of(documents: &[Placed]) -> Self {
        let mut tenants = Self::default();
        for placed in documents {
            match &placed.document {
                Document::Tenant(tenant) => {
                    tenants.limits.insert(tenant.name.clone(), tenant.limits);
                }
                Document::App(app) => {
                    let of_app = app.tenant.iter().map(|tenant| (app.name.clone(), tenant.clone()));
                    tenants.of_apps.extend(of_app);
                }
                Document::Monitor(_) | Document::Drain(_) | Document::Node(_) => {}
            }
        }
        tenants
    }

    /// Whose a monitor is: what it says itself, else what its application says. A tenant without a document has no
    /// limits.
    pub(super) fn of_monitor(&self, monitor: &Monitor) -> Option<Tenant> {
        let of_app = || self.of_apps.get(monitor.app.as_ref()?);
        let name = monitor.tenant.as_ref().or_else(of_app)?;
        Some(self.named(name))
    }

    fn named(&self, name: &str) -> Tenant {
        let limits = self.limits.get(name).copied().unwrap_or_default();
        Tenant {
            name: name.to_owned(),
            cpu_us_per_s: limits.cpu_us_per_s,
            bytes_per_s: limits.bytes_per_s,
        }
    }

    /// Those that have a document.
    pub(super) fn configured(&self) -> Vec<Tenant> {
        self.limits.keys().map(|name| self.named(name)).collect()
    }
}

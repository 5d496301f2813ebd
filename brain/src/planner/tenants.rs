//! What tenants cost, as Maps measure it.

use super::Planner;
use crate::protocol::TenantState;
use map::protocol::Tenant;
use std::collections::BTreeMap;

impl Planner {
    /// Every tenant that has a document or a monitor, with what its Maps say of it.
    pub(super) fn tenants(&self) -> Vec<TenantState> {
        let Some(known) = &self.known else { return Vec::new() };
        let of_tasks = known.tasks.iter().filter_map(|task| task.tenant.as_ref());
        let tenants: BTreeMap<&str, &Tenant> = known
            .tenants
            .iter()
            .chain(of_tasks)
            .map(|tenant| (tenant.name.as_str(), tenant))
            .collect();
        let state = |tenant: &Tenant| {
            let is_of_it = |name: &Option<String>| name.as_deref() == Some(tenant.name.as_str());
            let monitors = known.monitors.iter().filter(|monitor| is_of_it(&monitor.tenant));
            let mut state = TenantState {
                name: tenant.name.clone(),
                monitors: monitors.count() as u64,
                cpu_limit_us_per_s: tenant.cpu_us_per_s,
                bytes_limit_per_s: tenant.bytes_per_s,
                ..TenantState::default()
            };
            let statuses = self.setup.maps.iter().filter_map(|map| self.map_status(&map.node));
            let seen = statuses.flat_map(|status| &status.tenants);
            for seen in seen.filter(|seen| seen.tenant == tenant.name) {
                state.cpu_us_per_s += seen.cpu_us_per_s;
                state.bytes_per_s += seen.bytes_per_s;
                state.suspended += seen.suspended;
            }
            state
        };
        tenants.into_values().map(state).collect()
    }
}

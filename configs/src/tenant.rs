//! A tenant: whose monitors share a budget.

/// A validated tenant. Monitors may name one that has no document: it has no limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its name.
    pub name: String,
    /// What its monitors may cost together.
    pub limits: Limits,
}

/// What all monitors of a tenant may cost together, on each Map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// CPU microseconds per second, if limited.
    pub cpu_us_per_s: Option<u64>,
    /// Bytes of log per second, if limited. What several monitors go through together counts for each of them.
    pub bytes_per_s: Option<u64>,
}

//! A raw tenant to a validated one.

use super::raw::RawTenant;
use super::reading::Reading;
use crate::tenant::{Limits, Tenant};
use crate::units::{bytes_per_second, cpu_us_per_second};
use std::ops::Range;

/// Validates a tenant, noting all its mistakes. The result is usable only if none was noted.
pub(super) fn tenant(raw: &RawTenant, reading: &mut Reading, document: &Range<usize>) -> Tenant {
    let limits = raw.limits.value().map(|limits| Limits {
        cpu_us_per_s: reading.quantity(&limits.cpu, cpu_us_per_second, "a share of CPU time", "500ms/s"),
        bytes_per_s: reading.quantity(&limits.bytes, bytes_per_second, "bytes per second", "1GiB/s"),
    });
    Tenant {
        name: reading.name(&raw.name, "tenant", document),
        limits: limits.unwrap_or_default(),
    }
}

//! A raw drain to a validated one.

use super::raw::RawDrain;
use super::reading::Reading;
use crate::drain::Drain;
use std::ops::Range;

/// Validates a drain, noting all its mistakes. The result is usable only if none was noted.
pub(super) fn drain(raw: &RawDrain, reading: &mut Reading, document: &Range<usize>) -> Drain {
    Drain {
        name: reading.name(&raw.name, "drain", document),
        why: raw.why.value().cloned(),
    }
}

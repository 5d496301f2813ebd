//! Timestamps: found, not configured.
//!
//! [`learn`] looks at the first bytes of a log and answers which format stands where in its lines; the answer is a
//! [`Profile`], plain data. [`ProfileReader`] reads a file's lines by it, [`StampReader`] those of one entry. Both are
//! pure functions of bytes: no file, no clock, no zone of the machine. What bytes can't tell is given: the zone of
//! stamps without one ([`Zone`]), and for stamps without a year when the file was written ([`YearWalk`]).
//!
//! | module | holds |
//! |---|---|
//! | [`token`], [`pattern`] | the language of formats, and its interpreter |
//! | `table` | the formats that are looked for |
//! | [`locate`] | where in a line a stamp stands |
//! | `learn` | the choice of format and place over a sample |
//! | `fixed` | stamps in the middle of longer numbers, looked for last |
//! | [`reader`] | the hot path |
//! | [`zone`], `zone_names`, [`year`] | what a stamp leaves unsaid |

mod choose;
pub mod civil;
mod file;
mod fixed;
mod interpret;
mod learn;
pub mod locate;
mod names;
pub mod pattern;
pub mod profile;
pub mod reader;
mod scan;
mod show;
mod table;
pub mod token;
pub mod year;
pub mod zone;
mod zone_names;

pub use file::FileStamps;
pub use learn::{SAMPLE_BYTES, learn, learn_as};
pub use locate::Locator;
pub use pattern::{FieldOrder, Format, Precision};
pub use profile::{CoarseFinding, Detected, Detection, OrderEvidence, Profile, ProfileEntry, ZoneSource};
pub use reader::{ProfileReader, StampReader};
pub use token::PatternError;
pub use year::{YearMark, YearWalk};
pub use zone::{FoldEvidence, FoldState, Zone, ZoneError};
pub use zone_names::ZoneId;

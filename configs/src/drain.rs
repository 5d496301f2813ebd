//! A node that is to be given no work: taken out for a while, on purpose.

/// A validated drain. There is no other way to say it, and none to forget: what stands in the ConfigDB outlives every
/// process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drain {
    /// The node's name: of a Map or a Reduce.
    pub name: String,
    /// Why, for whoever wonders.
    pub why: Option<String>,
}

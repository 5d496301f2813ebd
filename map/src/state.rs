//! States of aggregates: what a group keeps for each of them, mergeable in any order (M7).

use crate::distinct::Distinct;
use crate::extreme::{First, Last};
use crate::kept::{Keep, Kept};
use crate::number::Decimal;
use crate::quantile::Quantiles;
use crate::squares::Squares;
use serde::{Deserialize, Serialize};

/// Which state an aggregate keeps. Aggregates that keep the same state of the same argument share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StateKind {
    /// A number of things: records, lines or bytes.
    Count,
    /// Number and exact sum of decimals.
    Sum,
    /// Number, sum and sum of squares.
    Moments,
    /// Least decimal.
    Min,
    /// Greatest decimal.
    Max,
    /// Histogram of decimals.
    Quantiles,
    /// Set or sketch of texts.
    Distinct,
    /// Text of the earliest record.
    First,
    /// Text of the latest record.
    Last,
    /// Records as they are.
    Records(Keep),
}

/// Number, sum and sum of squares of decimals, exact.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Moments {
    /// How many decimals.
    pub count: u64,
    /// Their sum in 10⁻⁹.
    pub sum_nanos: i128,
    /// The sum of their squares in 10⁻¹⁸.
    pub squares: Squares,
}

/// The state of one aggregate of one group in one window. The large ones are boxed: most monitors count and sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// A number of records, lines or bytes.
    Count(u64),
    /// Number and sum (10⁻⁹). |x| ≤ 10¹⁵, so an `i128` holds more than 10¹⁴ of the largest.
    Sum {
        /// How many decimals.
        count: u64,
        /// Their sum in 10⁻⁹.
        sum_nanos: i128,
    },
    /// For the standard deviation.
    Moments(Box<Moments>),
    /// Least decimal so far.
    Min(Option<Decimal>),
    /// Greatest decimal so far.
    Max(Option<Decimal>),
    /// For quantiles.
    Quantiles(Box<Quantiles>),
    /// For the number of different texts.
    Distinct(Box<Distinct>),
    /// Earliest text.
    First(Box<First>),
    /// Latest text.
    Last(Box<Last>),
    /// Records as they are.
    Records(Box<Kept>),
}

impl State {
    /// The state of nothing.
    pub fn new(kind: StateKind) -> Self {
        match kind {
            StateKind::Count => Self::Count(0),
            StateKind::Sum => Self::Sum { count: 0, sum_nanos: 0 },
            StateKind::Moments => Self::Moments(Box::default()),
            StateKind::Min => Self::Min(None),
            StateKind::Max => Self::Max(None),
            StateKind::Quantiles => Self::Quantiles(Box::default()),
            StateKind::Distinct => Self::Distinct(Box::default()),
            StateKind::First => Self::First(Box::default()),
            StateKind::Last => Self::Last(Box::default()),
            StateKind::Records(keep) => Self::Records(Box::new(Kept::new(keep))),
        }
    }

    /// Which kind it is.
    pub fn kind(&self) -> StateKind {
        match self {
            Self::Count(_) => StateKind::Count,
            Self::Sum { .. } => StateKind::Sum,
            Self::Moments(_) => StateKind::Moments,
            Self::Min(_) => StateKind::Min,
            Self::Max(_) => StateKind::Max,
            Self::Quantiles(_) => StateKind::Quantiles,
            Self::Distinct(_) => StateKind::Distinct,
            Self::First(_) => StateKind::First,
            Self::Last(_) => StateKind::Last,
            Self::Records(kept) => StateKind::Records(kept.keep()),
        }
    }

    /// Adds so many things to a state that counts them.
    #[inline]
    pub fn add_count(&mut self, more: u64) {
        match self {
            Self::Count(count) => *count += more,
            other => debug_assert!(false, "a count was added to {other:?}"),
        }
    }

    /// Adds so many decimals with this sum to a state that sums.
    #[inline]
    pub fn add_sum(&mut self, more: u64, sum_of_more: i128) {
        match self {
            Self::Sum { count, sum_nanos } => {
                *count += more;
                *sum_nanos += sum_of_more;
            }
            other => debug_assert!(false, "a sum was added to {other:?}"),
        }
    }

    /// Adds a decimal to a state that takes decimals.
    #[inline]
    pub fn add_decimal(&mut self, value: Decimal) {
        match self {
            Self::Sum { count, sum_nanos } => {
                *count += 1;
                *sum_nanos += value.nanos();
            }
            Self::Max(greatest) => *greatest = Some(greatest.map_or(value, |so_far| so_far.max(value))),
            Self::Min(least) => *least = Some(least.map_or(value, |so_far| so_far.min(value))),
            Self::Quantiles(quantiles) => quantiles.add(value),
            Self::Moments(moments) => {
                moments.count += 1;
                moments.sum_nanos += value.nanos();
                moments.squares.add(value);
            }
            Self::Count(_) | Self::Distinct(_) | Self::First(_) | Self::Last(_) | Self::Records(_) => {
                debug_assert!(false, "a decimal was added to a state that takes none");
            }
        }
    }

    /// Takes in what another state of the same kind has seen. Any order of merges gives the same state.
    pub fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Count(count), Self::Count(more)) => *count += more,
            (
                Self::Sum { count, sum_nanos },
                Self::Sum {
                    count: more,
                    sum_nanos: sum,
                },
            ) => {
                *count += more;
                *sum_nanos += sum;
            }
            (Self::Moments(moments), Self::Moments(more)) => {
                moments.count += more.count;
                moments.sum_nanos += more.sum_nanos;
                moments.squares.merge(&more.squares);
            }
            (Self::Min(least), Self::Min(Some(value))) => {
                *least = Some(least.map_or(*value, |so_far| so_far.min(*value)));
            }
            (Self::Max(greatest), Self::Max(Some(value))) => {
                *greatest = Some(greatest.map_or(*value, |so_far| so_far.max(*value)));
            }
            (Self::Min(_), Self::Min(None)) | (Self::Max(_), Self::Max(None)) => {}
            (Self::Quantiles(quantiles), Self::Quantiles(more)) => quantiles.merge(more),
            (Self::Distinct(distinct), Self::Distinct(more)) => distinct.merge(more),
            (Self::First(first), Self::First(more)) => first.merge(more),
            (Self::Last(last), Self::Last(more)) => last.merge(more),
            (Self::Records(kept), Self::Records(more)) => kept.merge(more),
            (mine, theirs) => debug_assert!(false, "states of different kinds: {mine:?} and {theirs:?}"),
        }
    }

    /// Bytes kept on the heap, about.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Count(_) | Self::Sum { .. } | Self::Min(_) | Self::Max(_) => 0,
            Self::Moments(_) => size_of::<Moments>(),
            Self::Quantiles(quantiles) => quantiles.memory_bytes(),
            Self::Distinct(distinct) => distinct.memory_bytes(),
            Self::First(first) => first.memory_bytes(),
            Self::Last(last) => last.memory_bytes(),
            Self::Records(kept) => kept.memory_bytes(),
        }
    }
}

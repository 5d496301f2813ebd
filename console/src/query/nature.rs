//! What a stored column is, which decides how it may be merged: a count adds, a percentile does not.

use configs::expr::BinaryOp;
use map::plan::{OutputNode, Reading};

/// The nature of a stored column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// A number that is always the same.
    Constant,
    /// A count or a sum, or a sum of such, or a multiple: that of a whole is the sum of those of its parts.
    Additive,
    /// An additive thing by time.
    Rate,
    /// An average, or a quotient of counts and sums.
    Ratio,
    /// A least or greatest value.
    Extreme,
    /// A percentile.
    Quantile,
    /// A standard deviation.
    Deviation,
    /// A number of different texts.
    Distinct,
    /// A text.
    Text,
    /// Arithmetic over things of several natures.
    Mixed,
}

impl Nature {
    /// The nature of a column that is computed so.
    pub(crate) fn of(node: &OutputNode) -> Self {
        match node {
            OutputNode::Number(_) => Self::Constant,
            OutputNode::State(_, reading) => Self::of_reading(reading),
            OutputNode::Negate(inner) => Self::of(inner),
            OutputNode::Arithmetic(op, left, right) => Self::combined(*op, Self::of(left), Self::of(right)),
        }
    }

    fn of_reading(reading: &Reading) -> Self {
        match reading {
            Reading::Count | Reading::Sum => Self::Additive,
            Reading::Avg => Self::Ratio,
            Reading::Extreme => Self::Extreme,
            Reading::Stddev => Self::Deviation,
            Reading::Quantile(_) => Self::Quantile,
            Reading::Distinct => Self::Distinct,
            Reading::Text => Self::Text,
            Reading::PerSecond => Self::Rate,
        }
    }

    fn combined(op: BinaryOp, left: Self, right: Self) -> Self {
        use Nature::{Additive, Constant, Deviation, Distinct, Mixed, Quantile, Rate, Ratio, Text};
        match (op, left, right) {
            (_, Constant, Constant) => Constant,
            (BinaryOp::Add | BinaryOp::Subtract, Additive, Additive) => Additive,
            (BinaryOp::Add | BinaryOp::Subtract, Rate, Rate) => Rate,
            (BinaryOp::Multiply | BinaryOp::Divide, Additive, Constant) | (BinaryOp::Multiply, Constant, Additive) => {
                Additive
            }
            (BinaryOp::Multiply | BinaryOp::Divide, Rate, Constant) | (BinaryOp::Multiply, Constant, Rate) => Rate,
            (_, Constant | Additive | Ratio, Constant | Additive | Ratio) => Ratio,
            (_, nature @ (Quantile | Deviation | Distinct | Text), _) => nature,
            (_, _, nature @ (Quantile | Deviation | Distinct | Text)) => nature,
            _ => Mixed,
        }
    }

    /// How it is merged, over windows and groups, for people.
    pub(crate) fn merge_rule(self) -> &'static str {
        match self {
            Self::Constant => "always the same",
            Self::Additive => "adds",
            Self::Rate => "what it counts adds, then by the seconds that are stored",
            Self::Ratio => "its parts add, then it is computed",
            Self::Extreme => "the least or greatest of all",
            Self::Quantile => "histograms merge, then it is read off",
            Self::Deviation => "sums of squares add, then it is computed",
            Self::Distinct => "sketches merge",
            Self::Text => "the first or last in time",
            Self::Mixed => "each part by its own rule, then it is computed",
        }
    }

    /// What it is, for people.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Constant => "a constant",
            Self::Additive => "a count or a sum",
            Self::Rate => "a rate",
            Self::Ratio => "an average or a ratio",
            Self::Extreme => "a least or greatest value",
            Self::Quantile => "a percentile",
            Self::Deviation => "a standard deviation",
            Self::Distinct => "a number of different values",
            Self::Text => "a text",
            Self::Mixed => "arithmetic over values of several kinds",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(output: &str, expected: Nature) {
        let text = format!("select {output} as it parse json");
        let monitor = configs::parse_mql(&text).expect("a good question");
        let plan = map::plan::Plan::new(&monitor).expect("it can be counted");
        assert_eq!(Nature::of(&plan.outputs[0].node), expected, "{output}");
    }

    #[test]
    fn columns_are_what_they_are_made_of() {
        check("count()", Nature::Additive);
        check("-count(a = 1) + 2 * sum(b) / 4", Nature::Additive);
        check("3 * sum(b) - lines()", Nature::Additive);
        check("count() + 1", Nature::Ratio);
        check("4 / count()", Nature::Ratio);
        check("avg(a)", Nature::Ratio);
        check("100 * count(a = 1) / count()", Nature::Ratio);
        check("rate() * 60 + rate(b)", Nature::Rate);
        check("rate() / count()", Nature::Mixed);
        check("max(a)", Nature::Extreme);
        check("max(a) - min(a)", Nature::Mixed);
        check("p99(a) / 1000", Nature::Quantile);
        check("100 * stddev(a) / avg(a)", Nature::Deviation);
        check("distinct(a)", Nature::Distinct);
        check("first(a)", Nature::Text);
    }
}

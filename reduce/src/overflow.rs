//! Which columns make more groups than are kept (M6): whoever meets `__other__` is told whose it is, and what to group
//! by less.

use map::groups::Groups;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;

/// More groups in a window than are kept, and the columns that make them. The greater is the one with more values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Overflow {
    /// How many different values each of [`Overflow::columns`] has among the groups, an absent one among them.
    pub values: u64,
    /// Whether there may be more of them: groups were folded before these were counted.
    #[serde(rename = "or_more")]
    pub is_least: bool,
    /// Groups that are kept.
    pub groups: u64,
    /// The columns with the most different values, in the order in which they group: several if they have as many.
    pub columns: Vec<String>,
}

impl Overflow {
    /// What is to be said of the groups of a window, of which so many are shown; `None` if none were folded. A function
    /// of the groups alone, so that neither merge order nor sharding shows in it.
    pub fn of(names: &[String], groups: &Groups, shown: usize) -> Option<Self> {
        let is_least = groups.folded().is_some();
        if names.is_empty() || (!is_least && groups.len() <= shown) {
            return None;
        }
        let rows: Vec<Vec<Option<&[u8]>>> = groups.iter().map(|(group, _)| group.columns()).collect();
        let values = |column: usize| {
            let texts = rows.iter().filter_map(|row| row.get(column));
            texts.collect::<HashSet<_>>().len() as u64
        };
        let counts: Vec<u64> = (0..names.len()).map(values).collect();
        let most = counts.iter().copied().max().unwrap_or(0);
        let widest = names.iter().zip(&counts).filter(|(_, count)| **count == most);
        Some(Self {
            values: most,
            is_least,
            groups: groups.len().min(shown) as u64,
            columns: widest.map(|(name, _)| name.clone()).collect(),
        })
    }

    /// The same for people, with whose groups they are.
    pub fn told(&self, monitor: &str) -> String {
        format!("monitor `{monitor}`: {self}")
    }
}

impl fmt::Display for Overflow {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<String> = self.columns.iter().map(|column| format!("`{column}`")).collect();
        let each = if columns.len() > 1 { " each" } else { "" };
        let more = if self.is_least { " or more" } else { "" };
        write!(
            out,
            "more than {} groups in a window, mostly by {} ({} different values{each}{more}); the rest are `__other__`",
            self.groups,
            columns.join(" and "),
            self.values,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use map::groups::encode_column;
    use map::state::StateKind;
    use std::sync::Arc;

    fn groups(rows: impl IntoIterator<Item = [Option<String>; 2]>, limit: usize) -> Groups {
        let mut groups = Groups::new(Arc::from([StateKind::Count]), limit);
        for row in rows {
            let mut key = Vec::new();
            let columns = row.iter().map(|column| column.as_ref().map(String::as_bytes));
            columns.for_each(|column| encode_column(&mut key, column));
            groups.enter(&key, 1);
        }
        groups
    }

    fn said(groups: &Groups, shown: usize) -> Option<String> {
        let names = ["op", "uri"].map(str::to_owned);
        Overflow::of(&names, groups, shown).map(|overflow| overflow.told("urls"))
    }

    /// So many groups of three operations and as many locations.
    fn exploding(count: usize) -> Vec<[Option<String>; 2]> {
        let row = |index: usize| [Some(format!("op{}", index % 3)), Some(format!("/item/{index}"))];
        (0..count).map(row).collect()
    }

    #[test]
    fn the_column_that_explodes_is_named() {
        let rows = exploding(1_200);
        let whole = groups(rows.clone(), 10_000);
        let text = "monitor `urls`: more than 1000 groups in a window, mostly by `uri` (1200 different values); the \
                    rest are `__other__`";
        assert_eq!(said(&whole, 1_000).as_deref(), Some(text));
        assert_eq!(said(&whole, 1_200), None, "nothing is folded");
        // The order in which groups come does not show, nor in how many parts, even where a Map folded already.
        let backwards = groups(rows.clone().into_iter().rev(), 500);
        let (mut first, second) = (groups(rows[..700].to_vec(), 500), groups(rows[700..].to_vec(), 500));
        first.merge(&second);
        let text = "monitor `urls`: more than 500 groups in a window, mostly by `uri` (500 different values or \
                    more); the rest are `__other__`";
        assert_eq!(said(&backwards, 1_000).as_deref(), Some(text));
        assert_eq!(said(&first, 1_000).as_deref(), Some(text));
    }

    #[test]
    fn columns_that_explode_alike_are_both_named_and_absence_is_a_value() {
        let row = |index: usize| [Some(format!("a{index}")), (index > 0).then(|| format!("b{index}"))];
        let text = said(&groups((0..9).map(row), 100), 2).expect("it overflows");
        assert!(
            text.contains("mostly by `op` and `uri` (9 different values each)"),
            "{text}"
        );
    }

    #[test]
    fn what_is_not_grouped_cannot_overflow() {
        let mut total = Groups::new(Arc::from([StateKind::Count]), 1);
        total.enter(b"", 7);
        assert_eq!(Overflow::of(&[], &total, 1), None);
    }
}

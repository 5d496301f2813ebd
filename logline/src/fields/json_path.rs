//! The paths that columns mean in a JSON object, as one tree: the object is walked once for all columns.
//!
//! `a.b[0]` is the first element of `b` in `a`. A column with dots or brackets may also be a key of the object itself,
//! as `service.name` often is; such a key wins over the path.

use super::json_skim::DEPTH_MAX;

/// The tree of all columns' paths; node 0 is the object itself.
#[derive(Debug)]
pub(super) struct Paths {
    pub(super) nodes: Vec<Node>,
    pub(super) columns: Vec<Sought>,
}

/// The nodes at which a column's value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sought {
    /// The key of the object itself, as the column is written.
    pub(super) key: usize,
    /// The path, where that is another one.
    pub(super) path: Option<usize>,
}

/// A place in the object.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// What is looked for if it is an object.
    pub(super) keys: Vec<(Box<[u8]>, usize)>,
    /// What is looked for if it is an array.
    pub(super) elements: Vec<(usize, usize)>,
    /// Whether its value is a column's.
    pub(super) wanted: bool,
    /// The nodes below it, at any depth.
    pub(super) below: Vec<usize>,
}

/// One step of a path.
#[derive(Debug, PartialEq, Eq)]
enum Step<'a> {
    Key(&'a str),
    Element(usize),
}

impl Paths {
    pub(super) fn new(columns: &[String]) -> Paths {
        let mut paths = Paths {
            nodes: vec![Node::default()],
            columns: Vec::with_capacity(columns.len()),
        };
        for column in columns {
            let key = paths.insert(&[Step::Key(column)]);
            let path = steps(column)
                .map(|steps| paths.insert(&steps))
                .filter(|&path| path != key);
            paths.columns.push(Sought { key, path });
        }
        paths
    }

    /// The node at the end of a path, made if it isn't there.
    fn insert(&mut self, steps: &[Step<'_>]) -> usize {
        let mut trail = vec![0];
        for step in steps {
            let at = trail[trail.len() - 1];
            let known = self.child(at, step);
            trail.push(known.unwrap_or_else(|| self.add(at, step, &trail)));
        }
        let end = trail[trail.len() - 1];
        self.nodes[end].wanted = true;
        end
    }

    /// The node one step below `at`.
    fn child(&self, at: usize, step: &Step<'_>) -> Option<usize> {
        let node = &self.nodes[at];
        match step {
            Step::Key(key) => node
                .keys
                .iter()
                .find(|(known, _)| **known == *key.as_bytes())
                .map(|&(_, child)| child),
            Step::Element(index) => node
                .elements
                .iter()
                .find(|(known, _)| known == index)
                .map(|&(_, child)| child),
        }
    }

    /// Makes the node one step below `at`, which all of `trail` lie above.
    fn add(&mut self, at: usize, step: &Step<'_>, trail: &[usize]) -> usize {
        let child = self.nodes.len();
        self.nodes.push(Node::default());
        match step {
            Step::Key(key) => self.nodes[at].keys.push((key.as_bytes().into(), child)),
            Step::Element(index) => self.nodes[at].elements.push((*index, child)),
        }
        for &above in trail {
            self.nodes[above].below.push(child);
        }
        child
    }
}

/// The steps of a column that is written as a path; `None` if it can only be a key, or leads deeper than is followed.
fn steps(column: &str) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    for part in column.split('.') {
        let key_len = part.find('[').unwrap_or(part.len());
        let (key, mut rest) = part.split_at(key_len);
        if key.is_empty() {
            return None;
        }
        steps.push(Step::Key(key));
        while !rest.is_empty() {
            let (index, after) = rest.strip_prefix('[')?.split_once(']')?;
            if !index.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            steps.push(Step::Element(index.parse().ok()?));
            rest = after;
        }
    }
    Some(steps).filter(|steps| steps.len() <= DEPTH_MAX as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(column: &str, expected: Option<&[Step<'_>]>) {
        assert_eq!(steps(column).as_deref(), expected, "{column}");
    }

    #[test]
    fn columns_are_paths() {
        use Step::{Element, Key};
        check("a", Some(&[Key("a")]));
        check("a.b[0]", Some(&[Key("a"), Key("b"), Element(0)]));
        check("a[1][20].c", Some(&[Key("a"), Element(1), Element(20), Key("c")]));
        check("a b.@c", Some(&[Key("a b"), Key("@c")]));
        for key_only in [
            "", "a.", ".a", "a..b", "[0]", "a[", "a[]", "a[x]", "a[-1]", "a[+1]", "a[0]b",
        ] {
            check(key_only, None);
        }
        check("a]", Some(&[Key("a]")]));
        check(&"a.".repeat(1000), None);
        check(&vec!["a"; 129].join("."), None);
    }

    #[test]
    fn paths_share_their_beginnings() {
        let columns = ["a.b", "a.c", "a", "a.b"].map(str::to_owned);
        let paths = Paths::new(&columns);
        // The object, the keys `a.b`, `a.c` and `a`, and `b` and `c` below `a`.
        assert_eq!(paths.nodes.len(), 6);
        assert_eq!(paths.columns[0], paths.columns[3]);
        assert_eq!(paths.columns[2].path, None);
        let a = &paths.nodes[paths.columns[2].key];
        assert!(a.wanted && a.below.len() == 2 && a.keys.len() == 2);
    }
}

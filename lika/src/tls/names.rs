//! What a certificate says of its holder: URI names of the form `sunfire://role/ROLE` and `sunfire://ROLE/NODE`.
//!
//! The first lets its holder be any node of a role, the second one node alone. A role, or a node's name, that somebody
//! claims counts only if a name of its certificate covers it.

use std::fmt;

use webpki::EndEntityCert;

/// What all names begin with; others in a certificate mean nothing here.
const SCHEME: &str = "sunfire://";
/// Names of a certificate that are looked at: a certificate with more is somebody's mistake.
const NAMES_MAX: usize = 64;
/// Names are told in refusals; longer ones are none of ours.
const NAME_BYTES_MAX: usize = 512;

/// The names of a certificate that concern us.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names(Vec<String>);

impl Names {
    /// Names as they stand in a certificate, for tests and other networks than TLS.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Names {
        let ours = names
            .into_iter()
            .filter(|name| name.starts_with(SCHEME) && name.len() <= NAME_BYTES_MAX);
        Names(ours.take(NAMES_MAX).map(str::to_owned).collect())
    }

    pub(super) fn of(certificate: &EndEntityCert<'_>) -> Names {
        Names::new(certificate.valid_uri_names())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether its holder may be this node of this role.
    pub fn cover(&self, role: &str, node: &str) -> bool {
        self.has(&name_of_role(role)) || self.names(role, node)
    }

    /// Whether it names this very node, and no other of that role: whoever may be two can't prove which it is.
    pub fn names(&self, role: &str, node: &str) -> bool {
        let of_role = name_of_node(role, "");
        let mut nodes = self.0.iter().filter(|own| own.starts_with(&of_role));
        // `role` is no role, or any role would be a node of it.
        role != "role" && self.has(&name_of_node(role, node)) && nodes.all(|own| *own == name_of_node(role, node))
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|own| own == name)
    }
}

impl fmt::Display for Names {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return formatter.write_str("no role");
        }
        formatter.write_str(&self.0.join(", "))
    }
}

/// The name by which a certificate lets its holder be any node of a role.
pub fn name_of_role(role: &str) -> String {
    format!("{SCHEME}role/{role}")
}

/// The name by which a certificate lets its holder be this node of a role.
pub fn name_of_node(role: &str, node: &str) -> String {
    format!("{SCHEME}{role}/{node}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(names: &[&str], (role, node): (&str, &str), covered: bool, named: bool) {
        let names = Names::new(names.iter().copied());
        assert_eq!(
            (names.cover(role, node), names.names(role, node)),
            (covered, named),
            "{names} for {role} {node}"
        );
    }

    #[test]
    fn a_name_covers_its_role_or_its_node_and_nothing_else() {
        check(&["sunfire://role/map"], ("map", "map-1"), true, false);
        check(&["sunfire://agent/h1"], ("agent", "h1"), true, true);
        check(&["sunfire://agent/h1"], ("agent", "h2"), false, false);
        check(&["sunfire://agent/h1"], ("agent", "H1"), false, false);
        check(&["sunfire://role/agent"], ("agent", "h1"), true, false);
        check(&["sunfire://role/map"], ("role", "map"), false, false);
        check(&["sunfire://role/mapper"], ("map", ""), false, false);
        check(&["https://role/map", "spiffe://x/map"], ("map", "map-1"), false, false);
        check(&[], ("map", "map-1"), false, false);
        check(
            &["sunfire://agent/h1", "sunfire://agent/h2"],
            ("agent", "h2"),
            false,
            false,
        );
        check(
            &["sunfire://role/store", "sunfire://agent/h2"],
            ("agent", "h2"),
            true,
            true,
        );
    }
}

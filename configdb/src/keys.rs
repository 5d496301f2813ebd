//! Which key means what, below the prefix of an installation.

/// The prefix unless another one is said.
pub const PREFIX_DEFAULT: &str = "/sunfire/";

/// The keys of an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    /// Below a prefix, which ends in a slash.
    ///
    /// # Errors
    /// If it does not begin and end in a slash, or has other than printable ASCII characters.
    pub fn below(prefix: &str) -> Result<Keys, String> {
        let is_plain = prefix.bytes().all(|byte| byte.is_ascii_graphic());
        if is_plain && prefix.len() > 1 && prefix.starts_with('/') && prefix.ends_with('/') {
            Ok(Keys {
                prefix: prefix.to_owned(),
            })
        } else {
            Err(format!(
                "`{prefix}` can't be a prefix: write such as {PREFIX_DEFAULT}, with a slash at both ends"
            ))
        }
    }

    /// What all documents' keys begin with.
    pub fn documents(&self) -> String {
        format!("{}config/", self.prefix)
    }

    /// A document.
    pub fn document(&self, kind: &str, name: &str) -> String {
        format!("{}config/{kind}/{name}", self.prefix)
    }

    /// The kind and the name of a document by its key.
    pub fn of_document<'k>(&self, key: &'k str) -> Option<(&'k str, &'k str)> {
        let rest = key.strip_prefix(&self.prefix)?.strip_prefix("config/")?;
        rest.split_once('/')
            .filter(|(kind, name)| !kind.is_empty() && !name.is_empty())
    }

    /// What the keys of a document's former versions begin with.
    pub fn history(&self, kind: &str, name: &str) -> String {
        // A name has no slash; a key that somebody made by hand may, and must not look like another's version.
        format!("{}history/{kind}/{}/", self.prefix, name.replace('/', "%"))
    }

    /// A former version; they sort by number.
    pub fn version(&self, kind: &str, name: &str, number: u64) -> String {
        format!("{}{number:010}", self.history(kind, name))
    }

    /// The number of a version by its key.
    pub fn of_version(key: &str) -> Option<u64> {
        key.rsplit('/').next()?.parse().ok()
    }

    /// What the Brain keeps, by name.
    pub fn brain(&self, name: &str) -> String {
        format!("{}brain/{name}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_leads_to_its_document_and_back() {
        let keys = Keys::below("/a/").expect("a prefix");
        assert_eq!(keys.document("app", "shop"), "/a/config/app/shop");
        assert_eq!(keys.of_document("/a/config/app/shop"), Some(("app", "shop")));
        for foreign in [
            "/a/config/app",
            "/a/config/app/",
            "/b/config/app/shop",
            "/a/brain/epoch",
        ] {
            assert_eq!(keys.of_document(foreign), None, "{foreign}");
        }
        let version = keys.version("app", "shop", 12);
        assert!(
            !keys
                .history("app", "shop/more")
                .starts_with(&keys.history("app", "shop"))
        );
        assert_eq!(
            (version.as_str(), Keys::of_version(&version)),
            ("/a/history/app/shop/0000000012", Some(12))
        );
    }

    #[test]
    fn a_prefix_has_a_slash_at_both_ends() {
        for wrong in ["", "/", "sunfire/", "/sunfire", "/é/", "/a b/"] {
            assert!(Keys::below(wrong).is_err(), "{wrong}");
        }
    }
}

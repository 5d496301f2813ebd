//! The JSON Schema of the YAML documents, for editors: made from the raw model, so that it can't say anything else.

use super::raw::RawDocument;

/// The schema of one document, in JSON Schema 2020-12.
pub(crate) fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(RawDocument);
    schema.insert("title".to_owned(), "Sunfire ConfigDB document".into());
    schema.to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.json");

    #[test]
    fn the_checked_in_schema_is_fresh() {
        let fresh = format!(
            "{}\n",
            serde_json::to_string_pretty(&schema()).expect("a schema is JSON")
        );
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(FILE, &fresh).expect("the schema can be written");
        }
        let checked_in = std::fs::read_to_string(FILE).unwrap_or_default();
        assert!(
            checked_in == fresh,
            "schema.json is stale: run UPDATE_SCHEMA=1 cargo test -p configs schema"
        );
    }
}

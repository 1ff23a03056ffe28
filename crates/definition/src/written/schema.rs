//! The JSON Schema of family files, generated from the types so that it cannot drift from what is accepted.

use schemars::generate::SchemaSettings;

use super::FamilyFile;

/// The schema as pretty-printed JSON with a line break at its end: the content of `catalog/schema/image.schema.json`.
///
/// # Errors
/// Never in practice: a schema always has a JSON form.
pub fn schema() -> Result<String, serde_json::Error> {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<FamilyFile>();
    schema.insert("title".to_owned(), "Calypte image family".into());
    let mut text = serde_json::to_string_pretty(&schema)?;
    text.push('\n');
    Ok(text)
}

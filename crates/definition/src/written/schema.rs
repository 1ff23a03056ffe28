//! The JSON Schema of family files, generated from the types so that it cannot drift from what is accepted. It helps
//! editors; what it cannot say (parents, order of steps, …) is said when the file is loaded.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::FamilyFile;

/// The schema as pretty-printed JSON with a line break at its end: the content of `catalog/schema/image.schema.json`.
///
/// # Errors
/// Never in practice: a schema always has a JSON form.
pub fn schema() -> Result<String, serde_json::Error> {
    let generated = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<FamilyFile>();
    let mut schema = serde_json::to_value(generated)?;
    if let Some(keys) = schema.as_object_mut() {
        keys.insert("title".to_owned(), "Calypte image family".into());
    }
    without_null(&mut schema);
    let mut text = serde_json::to_string_pretty(&schema)?;
    text.push('\n');
    Ok(text)
}

/// Takes `null` out wherever a key is optional: here an optional key is left out, and never given without a value.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(keys) => {
            if keys.get("default").is_some_and(Value::is_null) {
                keys.remove("default");
            }
            if let Some(Value::Array(types)) = keys.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    keys.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(choices)) = keys.get_mut("anyOf") {
                choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
                if let [Value::Object(only)] = choices.as_slice() {
                    let only = only.clone();
                    keys.remove("anyOf");
                    keys.extend(only);
                }
            }
            keys.values_mut().for_each(without_null);
        }
        _ => {}
    }
}

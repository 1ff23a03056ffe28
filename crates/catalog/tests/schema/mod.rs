//! Whether an answer is as the OpenAPI document says: as much of JSON Schema as that uses, and nothing is passed over.

use serde_json::Value;

/// Whether a value fits; otherwise where it does not, and why.
pub fn fits(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    fits_at(document, schema, value, "$")
}

fn fits_at(document: &Value, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = document.pointer(reference.trim_start_matches('#'));
        let schema = schema.ok_or_else(|| format!("{place}: there is no schema {reference}"))?;
        return fits_at(document, schema, value, place);
    }
    if let Some(several) = schema["oneOf"].as_array() {
        let faults: Vec<String> =
            several.iter().filter_map(|one| fits_at(document, one, value, place).err()).collect();
        let fitting = several.len() - faults.len();
        return if fitting == 1 {
            Ok(())
        } else {
            Err(format!("{place}: {fitting} of {} fit: {}", several.len(), faults.join("; ")))
        };
    }
    let is_of_type = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        other => return Err(format!("{place}: the type {other:?} is not known")),
    };
    if !is_of_type {
        return Err(format!("{place}: {value} is no {}", schema["type"]));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        return Err(format!("{place}: {value} is none of {words:?}"));
    }
    if schema["pattern"].is_string() {
        let hex = value.as_str().and_then(|text| text.strip_prefix("sha256:")).unwrap_or_default();
        if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("{place}: {value} is no digest"));
        }
    }
    match value {
        Value::Object(fields) => {
            for name in schema["required"].as_array().into_iter().flatten() {
                if !fields.contains_key(name.as_str().unwrap()) {
                    return Err(format!("{place}: {name} is not there"));
                }
            }
            for (name, field) in fields {
                let place = format!("{place}.{name}");
                let schema = match (&schema["properties"][name], &schema["additionalProperties"]) {
                    (Value::Null, of @ Value::Object(_)) => of,
                    (Value::Null, _) => return Err(format!("{place}: nothing describes it")),
                    (known, _) => known,
                };
                fits_at(document, schema, field, &place)?;
            }
            Ok(())
        }
        Value::Array(items) => {
            let first = schema["prefixItems"].as_array().map_or(&[][..], Vec::as_slice);
            for (at, item) in items.iter().enumerate() {
                let place = format!("{place}[{at}]");
                fits_at(document, first.get(at).unwrap_or(&schema["items"]), item, &place)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

//! JSON Schema for editors, made from the same structs that read the files.

use super::document::{Document, Manifest};

/// The schema of an inventory file. Because a system may be split over several files, no top-level key is required.
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Document);
    schema.remove("required");
    schema.insert(
        "patternProperties".to_owned(),
        serde_json::json!({"^x-": {"description": "Holds YAML anchors; not read."}}),
    );
    schema.to_value()
}

/// The schema of `stack.yaml` in a template folder.
pub fn template_schema() -> serde_json::Value {
    schemars::schema_for!(Manifest).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_describes_every_key_and_refuses_others() {
        let schema = schema();
        assert_eq!(schema["additionalProperties"], false);
        let properties = schema["properties"].as_object().expect("an object");
        assert!(properties.len() > 15, "{properties:?}");
        for (key, value) in properties {
            assert!(value["description"].is_string(), "{key} has no description");
        }
        assert_eq!(
            schema["$defs"]["Guest"]["required"],
            serde_json::json!(["vmid", "memory", "disk", "nics"])
        );
    }
}

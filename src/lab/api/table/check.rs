//! Given parameters against the table: what the real API says about each that does not fit.

use super::{
    format,
    param::{Kind, Param, Params, Shape, find},
    pattern,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// Parameters that passed, as the text that the configuration files hold; lists keep their items.
pub(crate) type Given = BTreeMap<String, Vec<String>>;

const UNKNOWN: &str =
    "property is not defined in schema and the schema does not allow additional properties";
const MISSING: &str = "property is missing and it is not optional";

/// Checks everything that was sent.
///
/// # Errors
/// Parameter -> complaint, in the words of the real API.
pub(crate) fn check(
    params: Params,
    sent: &BTreeMap<String, Value>,
) -> Result<Given, BTreeMap<String, String>> {
    let mut given = Given::new();
    let mut errors = BTreeMap::new();
    for (name, value) in sent {
        let Some(param) = find(params, name) else {
            errors.insert(name.clone(), UNKNOWN.to_owned());
            continue;
        };
        match values(&param.kind, value, name) {
            Ok(texts) => {
                given.insert(name.clone(), texts);
            }
            Err(complaint) => {
                errors.insert(name.clone(), complaint);
            }
        }
    }
    for param in params.iter().flat_map(|list| list.iter()) {
        if param.required && param.family == 0 && !sent.contains_key(param.name) {
            errors.insert(param.name.to_owned(), MISSING.to_owned());
        }
        let Some(other) = param.requires else {
            continue;
        };
        if sent.contains_key(param.name) && !sent.contains_key(other) {
            errors.insert(
                other.to_owned(),
                format!("missing property - '{}' requires this property", param.name),
            );
        }
    }
    if errors.is_empty() {
        Ok(given)
    } else {
        Err(errors)
    }
}

fn values(kind: &Kind, value: &Value, path: &str) -> Result<Vec<String>, String> {
    if let (Shape::List(inner), Value::Array(items)) = (kind.shape, value) {
        return items
            .iter()
            .map(|item| item_of_list(inner, &text(item, kind.shape), path))
            .collect();
    }
    if let Value::Array(items) = value {
        // A list option (`delete`) may come as a JSON array or as a repeated key.
        if kind.format.is_some_and(|name| name.ends_with("-list")) {
            let joined: Vec<String> = items.iter().map(|item| text(item, kind.shape)).collect();
            let joined = joined.join(",");
            one(kind, &joined, path)?;
            return Ok(vec![joined]);
        }
        return Err(format!(
            "type check ('{}') failed - got ARRAY(0x55d0c0ffee00)",
            type_name(kind.shape)
        ));
    }
    let text = text(value, kind.shape);
    if let Shape::List(inner) = kind.shape {
        return Ok(vec![item_of_list(inner, &text, path)?]);
    }
    one(kind, &text, path)?;
    Ok(vec![text])
}

fn item_of_list(inner: Option<Params>, item: &str, path: &str) -> Result<String, String> {
    if let Some(params) = inner {
        parse_properties(params, item, path).map_err(|text| format!("invalid format - {text}"))?;
    }
    Ok(item.to_owned())
}

fn text(value: &Value, shape: Shape) -> String {
    match (value, shape) {
        (Value::Bool(yes), _) => i32::from(*yes).to_string(),
        (Value::String(text), _) => text.clone(),
        (Value::Null, _) => String::new(),
        (Value::Number(number), _) => number.to_string(),
        (Value::Array(_) | Value::Object(_), _) => "HASH(0x55d0c0ffee00)".to_owned(),
    }
}

fn type_name(shape: Shape) -> &'static str {
    match shape {
        Shape::Boolean => "boolean",
        Shape::Integer => "integer",
        Shape::Number => "number",
        Shape::Text | Shape::Word(_) | Shape::Properties(_) => "string",
        Shape::List(_) => "array",
    }
}

/// Checks one text against one kind.
pub(crate) fn one(kind: &Kind, text: &str, path: &str) -> Result<(), String> {
    let wrong_type = || {
        format!(
            "type check ('{}') failed - got '{text}'",
            type_name(kind.shape)
        )
    };
    match kind.shape {
        Shape::Boolean => {
            if !matches!(text, "0" | "1") {
                return Err(wrong_type());
            }
        }
        Shape::Integer => {
            let number: i64 = text.parse().map_err(|_| wrong_type())?;
            named_format(kind, text, path)?;
            within(
                kind,
                number >= kind.min.unwrap_or(i64::MIN),
                number <= kind.max.unwrap_or(i64::MAX),
            )?;
        }
        Shape::Number => {
            let number: f64 = text.parse().map_err(|_| wrong_type())?;
            let above = kind.min.is_none_or(|least| number >= as_float(least));
            let below = kind.max.is_none_or(|greatest| number <= as_float(greatest));
            within(kind, above, below)?;
        }
        Shape::Word(words) => {
            if !words.contains(&text) {
                return Err(format!(
                    "value '{text}' does not have a value in the enumeration '{}'",
                    words.join(", ")
                ));
            }
        }
        Shape::Text | Shape::List(_) => {
            named_format(kind, text, path)?;
            length(kind, text)?;
        }
        Shape::Properties(params) => {
            parse_properties(params, text, path)
                .map_err(|text| format!("invalid format - {text}"))?;
            length(kind, text)?;
        }
    }
    match kind.pattern {
        Some(pattern) if !pattern::is_match(pattern, text) => {
            Err("value does not match the regex pattern".to_owned())
        }
        _ => Ok(()),
    }
}

fn named_format(kind: &Kind, text: &str, path: &str) -> Result<(), String> {
    match kind.format {
        Some(name) => {
            format::check(name, text, path).map_err(|text| format!("invalid format - {text}\n"))
        }
        None => Ok(()),
    }
}

fn length(kind: &Kind, text: &str) -> Result<(), String> {
    let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    if let Some(most) = kind.max.filter(|most| length > *most) {
        return Err(format!("value may only be {most} characters long"));
    }
    match kind.min.filter(|least| length < *least) {
        Some(least) => Err(format!("value must be at least {least} characters long")),
        None => Ok(()),
    }
}

fn within(kind: &Kind, above: bool, below: bool) -> Result<(), String> {
    match (kind.min, kind.max) {
        (Some(least), _) if !above => Err(format!("value must have a minimum value of {least}")),
        (_, Some(most)) if !below => Err(format!("value must have a maximum value of {most}")),
        _ => Ok(()),
    }
}

#[expect(clippy::cast_precision_loss, reason = "limits of the table are small")]
fn as_float(number: i64) -> f64 {
    number as f64
}

/// Reads a comma-separated property string.
///
/// # Errors
/// The complaint without the leading `invalid format - `.
pub(crate) fn parse_properties(
    params: Params,
    text: &str,
    path: &str,
) -> Result<BTreeMap<String, String>, String> {
    let mut found = BTreeMap::new();
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) if !name.is_empty() && !value.is_empty() => (name, value),
            Some(_) => return Err("missing key in comma-separated list property\n".to_owned()),
            None => {
                let name = default_key(params).ok_or_else(|| {
                    "value without key, but schema does not define a default key\n".to_owned()
                })?;
                (name, part)
            }
        };
        let param = find(params, name);
        if let Some(model) = param.and_then(|param| param.key_alias)
            && found.insert(model.to_owned(), name.to_owned()).is_some()
        {
            return Err(format!("key '{model}' already defined\n"));
        }
        let real = param.and_then(|param| param.alias).unwrap_or(name);
        let value = match find(params, real).map(|param| param.kind.shape) {
            Some(Shape::Boolean) => as_switch(value),
            _ => value,
        };
        if found.insert(real.to_owned(), value.to_owned()).is_some() {
            return Err(format!(
                "duplicate key in comma-separated list property: {real}\n"
            ));
        }
    }
    let complaints = complaints(params, &found, path);
    if complaints.is_empty() {
        Ok(found)
    } else {
        Err(format!("format error\n{complaints}"))
    }
}

fn complaints(params: Params, found: &BTreeMap<String, String>, path: &str) -> String {
    let mut lines = Vec::new();
    for (name, value) in found {
        let complaint = match find(params, name) {
            None => Err(UNKNOWN.to_owned()),
            Some(param) => one(&param.kind, value, &format!("{path}.{name}")),
        };
        if let Err(complaint) = complaint {
            lines.push(format!("{path}.{name}: {complaint}\n"));
        }
    }
    let required = params
        .iter()
        .flat_map(|list| list.iter())
        .filter(|param| param.required);
    for param in required.filter(|param: &&Param| !found.contains_key(param.name)) {
        lines.push(format!("{path}.{}: {MISSING}\n", param.name));
    }
    lines.concat()
}

/// Inside property strings words are fine for booleans (`iothread=on`), unlike in forms.
fn as_switch(value: &str) -> &str {
    match value.to_ascii_lowercase().as_str() {
        "1" | "on" | "yes" | "true" => "1",
        "0" | "off" | "no" | "false" => "0",
        _ => value,
    }
}

fn default_key(params: Params) -> Option<&'static str> {
    params
        .iter()
        .flat_map(|list| list.iter())
        .find(|param| param.default_key)
        .map(|param| param.name)
}

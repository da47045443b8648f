//! Bodies and queries as the real HTTP server decodes them, quirks included.

use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::collections::BTreeMap;

/// Decodes `a=1&b=2`. Pairs are separated by `&` and by `;`, a value ends at its second `=`, `+` is a blank and a
/// repeated key becomes a list.
pub(crate) fn decode(text: &str) -> BTreeMap<String, Value> {
    let mut pairs: BTreeMap<String, Value> = BTreeMap::new();
    for pair in text.split(['&', ';']).filter(|pair| !pair.is_empty()) {
        let mut parts = pair.split('=');
        let name = unescape(parts.next().unwrap_or_default());
        let value = Value::String(unescape(parts.next().unwrap_or_default()));
        match pairs.get_mut(&name) {
            Some(Value::Array(values)) => values.push(value),
            Some(first) => {
                let first_value = first.take();
                *first = Value::Array(vec![first_value, value]);
            }
            None => {
                pairs.insert(name, value);
            }
        }
    }
    pairs
}

/// Decodes a JSON body.
///
/// # Errors
/// The plain text that Perl's JSON module dies with.
pub(crate) fn decode_json(text: &str) -> Result<BTreeMap<String, Value>, String> {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(fields)) => Ok(fields.into_iter().collect()),
        Ok(_) => Err("JSON body is not an object\n".to_owned()),
        Err(why) => {
            let rest = if text.is_empty() {
                "(end of string)"
            } else {
                text
            };
            let at = why.column().saturating_sub(1);
            Err(format!(
                "malformed JSON string, neither tag, array, object, number, string or atom, at character offset {at} (before \"{rest}\") at /usr/share/perl5/PVE/APIServer/AnyEvent.pm line 934.\n"
            ))
        }
    }
}

/// Decodes a path or a cookie, where `+` is itself.
pub(crate) fn unescape_path(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Decodes one name or value.
fn unescape(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unencoded_semicolon_separates_and_an_equals_sign_cuts() {
        let form = decode("boot=order=scsi0;ide2&net0=virtio,bridge=vmbr0");
        assert_eq!(form["boot"], "order");
        assert_eq!(form["ide2"], "");
        assert_eq!(form["net0"], "virtio,bridge");
    }

    #[test]
    fn encoded_values_survive_and_repeated_keys_become_lists() {
        let form = decode("boot=order%3Dscsi0%3Bide2&size=%2B1G&raw=+1G&command=a&command=b");
        assert_eq!(form["boot"], "order=scsi0;ide2");
        assert_eq!(form["size"], "+1G");
        assert_eq!(form["raw"], " 1G");
        assert_eq!(form["command"], serde_json::json!(["a", "b"]));
    }
}

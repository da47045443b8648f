//! Rules that infra did not make, as text for the inventory.

use crate::firewall::analysis::Adoption;
use std::fmt::Write as _;

/// YAML to be pasted into the inventory; what cannot be a row stands in comments.
pub(crate) fn adoption(found: &Adoption) -> String {
    let mut out = String::new();
    if !found.sets.is_empty() {
        out.push_str("sets:\n");
    }
    for (name, members) in &found.sets {
        let _ = writeln!(out, "  {name}: {}", list(members));
    }
    if !found.flows.is_empty() {
        out.push_str("flows:\n");
    }
    for flow in &found.flows {
        for rule in &flow.rules {
            let _ = writeln!(out, "  # {}", line(rule));
        }
        let (from, to, allow) = (list(&flow.from), list(&flow.to), list(&flow.allow));
        let reason = quoted(&flow.reason);
        let _ = writeln!(
            out,
            "  - {{from: {from}, to: {to}, allow: {allow}, reason: {reason}}}"
        );
    }
    if !found.left.is_empty() {
        out.push_str("# No row can say these; what they open stays open only while they stand:\n");
    }
    for left in &found.left {
        let _ = writeln!(out, "# {}: {}\n#   {}", left.on, line(&left.rule), left.why);
    }
    out
}

/// JSON is YAML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(line(text)).to_string()
}

fn list(words: &[String]) -> String {
    // An IPv6 address would be a mapping.
    let plain = |word: &String| {
        if word.contains(':') {
            quoted(word)
        } else {
            word.clone()
        }
    };
    let words: Vec<String> = words.iter().map(plain).collect();
    match words.as_slice() {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

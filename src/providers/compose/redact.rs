//! Secrets out of what containers wrote.

use crate::model::secret::SecretValues;

/// Shorter lines of a secret are left alone: replacing every `a` hides nothing and garbles everything.
const SHORTEST: usize = 4;

/// The text with `<secret:name>` in place of every known value, also of a value's single lines.
pub fn redact(text: &str, secrets: &SecretValues) -> String {
    let mut found: Vec<(&str, String)> = Vec::new();
    for name in secrets.names() {
        let Some(value) = secrets.expose(name) else {
            continue;
        };
        let shown = format!("<secret:{name}>");
        let lines = value.lines().map(str::trim);
        for line in lines.filter(|line| line.len() >= SHORTEST && !line.starts_with("-----")) {
            found.push((line, shown.clone()));
        }
    }
    // Longest first, so that a value that is part of another does not cut it.
    found.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
    found.iter().fold(text.to_owned(), |text, (value, shown)| {
        text.replace(value, shown)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::SecretName;
    use secrecy::SecretString;

    #[test]
    fn known_values_and_their_lines_are_replaced() {
        let mut secrets = SecretValues::default();
        for (name, value) in [
            ("short", "abc"),
            ("db", "hunter2"),
            ("longer", "hunter2-long"),
            ("key", "-----BEGIN KEY-----\nMIIabcdef\n-----END KEY-----\n"),
        ] {
            secrets.insert(
                SecretName::new(name).expect("valid"),
                SecretString::from(value),
            );
        }
        assert_eq!(
            redact(
                "abc hunter2-long hunter2 MIIabcdef -----BEGIN KEY-----",
                &secrets
            ),
            "abc <secret:longer> <secret:db> <secret:key> -----BEGIN KEY-----"
        );
    }
}

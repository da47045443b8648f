//! YAML, written by hand: every value is a JSON string, which YAML reads in one way only.

use std::fmt::Write as _;

/// A file while it is being written.
#[derive(Debug, Default)]
pub(super) struct Sheet(String);

impl Sheet {
    /// A file that begins with comments.
    pub(super) fn begin(comments: &[&str]) -> Self {
        let mut out = Self::default();
        for comment in comments {
            out.line(0, &format!("# {comment}"));
        }
        out
    }

    /// One line at a depth.
    pub(super) fn line(&mut self, depth: usize, text: &str) {
        let _ = writeln!(self.0, "{}{text}", "  ".repeat(depth));
    }

    /// A key with a value.
    pub(super) fn entry(&mut self, depth: usize, key: &str, value: &str) {
        self.line(depth, &format!("{}: {}", word(key), quoted(value)));
    }

    /// A key that opens a map.
    pub(super) fn open(&mut self, depth: usize, key: &str) {
        self.line(depth, &format!("{}:", word(key)));
    }

    pub(super) fn text(self) -> String {
        self.0
    }
}

/// A value that can only be a text.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A key: bare where that is unmistakable.
fn word(key: &str) -> String {
    let plain = key.starts_with(|c: char| c.is_ascii_lowercase())
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        && !matches!(
            key,
            "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
        );
    if plain { key.to_owned() } else { quoted(key) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_value_changes_its_meaning() {
        let mut sheet = Sheet::begin(&["x"]);
        sheet.open(0, "on");
        sheet.entry(1, "description", "a: b\n# c \"d\"");
        assert_eq!(
            sheet.text(),
            "# x\n\"on\":\n  description: \"a: b\\n# c \\\"d\\\"\"\n"
        );
    }
}

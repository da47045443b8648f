//! The comment that marks a rule as ours.

/// `infra:<flow id> <reason>`, free of what breaks a comment: `#` ends one in Proxmox's files, UFW refuses `'`, and
/// neither has room for a second line.
pub(crate) fn mark(id: &str, reason: &str) -> String {
    let clean: String = reason
        .chars()
        .map(|c| match c {
            '\'' => '\u{2019}',
            '#' | '"' | '\\' | '`' | '$' => ' ',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect();
    let words: Vec<&str> = clean.split_whitespace().collect();
    let text: String = words.join(" ").chars().take(100).collect();
    format!("infra:{id} {text}").trim_end().to_owned()
}

/// What a log line of a flow begins with: at most 29 characters in the kernel, and free of what iptables would quote.
pub(crate) fn log_prefix(id: &str) -> String {
    let clean: String = id
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-' || *c == '_')
        .take(22)
        .collect();
    format!("infra-{clean}")
}

#[cfg(test)]
mod tests {
    use super::mark;

    #[test]
    fn a_reason_survives_as_one_harmless_line() {
        assert_eq!(
            mark("a", "Bob's proxy # 1\n  \"café\""),
            "infra:a Bob\u{2019}s proxy 1 café"
        );
        assert_eq!(mark("a", "\n"), "infra:a");
    }
}

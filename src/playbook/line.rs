//! A line in a text.

/// The text with the line in it; none when it is there already. `starts`: the lines that begin so give way to it.
pub(super) fn with(text: &str, line: &str, starts: Option<&str>) -> Option<String> {
    let begins = |own: &str| starts.is_some_and(|starts| own.starts_with(starts));
    let mut out: Vec<&str> = Vec::new();
    let mut is_there = false;
    for own in text.lines() {
        if own == line || begins(own) {
            if !is_there {
                out.push(line);
            }
            // A line that was there twice without being asked for stays so.
            else if !begins(own) {
                out.push(own);
            }
            is_there = true;
        } else {
            out.push(own);
        }
    }
    if !is_there {
        out.push(line);
    }
    let mut new = out.join("\n");
    new.push('\n');
    (new != text).then_some(new)
}

#[cfg(test)]
mod tests {
    use super::with;

    #[test]
    fn a_line_is_added_replaced_or_left() {
        assert_eq!(with("a\nb\n", "c", None).as_deref(), Some("a\nb\nc\n"));
        assert_eq!(with("a\nc\n", "c", None), None);
        assert_eq!(with("", "c", None).as_deref(), Some("c\n"));
        assert_eq!(with("a", "c", None).as_deref(), Some("a\nc\n"));
        assert_eq!(
            with("Port 22\nx\nPort 23\n", "Port 2222", Some("Port ")).as_deref(),
            Some("Port 2222\nx\n")
        );
        assert_eq!(with("Port 2222\nx\n", "Port 2222", Some("Port ")), None);
        assert_eq!(with("# a\na\na\n", "a", None), None);
    }
}

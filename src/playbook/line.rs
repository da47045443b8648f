//! A line in a text.

use crate::model::{facts::PathFact, ids::HostName};
use crate::plan::{Blocked, Obstacle};

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

/// Why no line can be put into a file: what is no regular file would become one, and what was not read would be lost.
pub(super) fn no_text(
    host: &HostName,
    path: &str,
    seen: Option<&PathFact>,
    text: Option<&str>,
) -> Option<Blocked> {
    let seen = seen?;
    let (why, help) = if seen.kind == "link" {
        let target = seen.target.as_deref().unwrap_or("somewhere else");
        (
            format!("it is a symbolic link to {target}"),
            "Name the file that it leads to.".to_owned(),
        )
    } else if seen.kind != "file" {
        (
            format!("it is no regular file ({})", seen.kind),
            "Name a file, or move what is there away.".to_owned(),
        )
    } else if text.is_none() {
        (
            "it could not be read as a whole".to_owned(),
            format!("Look at it: `base64 {path}` on {host}."),
        )
    } else {
        return None;
    };
    Some(Blocked {
        what: format!("{host}: line in {path}"),
        why,
        help,
        obstacle: Obstacle::Refused,
        forbids: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn seen(kind: &str) -> PathFact {
        PathFact {
            kind: kind.to_owned(),
            owner: "root".to_owned(),
            group: "root".to_owned(),
            uid: 0,
            gid: 0,
            mode: 0o777,
            sha256: None,
            target: (kind == "link").then(|| "/etc/real".to_owned()),
        }
    }

    #[test]
    fn no_line_goes_into_what_is_no_file_or_was_not_read() {
        let host: HostName = "pve".parse().expect("valid");
        let why = |seen: Option<&PathFact>, text: Option<&str>| {
            no_text(&host, "/etc/x", seen, text).map(|blocked| blocked.why)
        };
        let link = why(Some(&seen("link")), Some("the target's text\n"));
        assert_eq!(link.as_deref(), Some("it is a symbolic link to /etc/real"));
        let folder = why(Some(&seen("directory")), None);
        assert_eq!(folder.as_deref(), Some("it is no regular file (directory)"));
        let unread = why(Some(&seen("file")), None);
        assert_eq!(unread.as_deref(), Some("it could not be read as a whole"));
        assert_eq!(why(Some(&seen("file")), Some("")), None);
        assert_eq!(why(None, None), None, "it is made");
    }
}

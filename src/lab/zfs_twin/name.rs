//! What names are legal.

/// Why a dataset may not be called so.
pub(super) fn dataset(name: &str) -> Option<String> {
    if name.contains('@') {
        return Some("snapshot delimiter '@' is not expected here".to_owned());
    }
    if name.contains('#') {
        return Some("bookmark delimiter '#' is not expected here".to_owned());
    }
    if name.len() > 255 {
        return Some("name is too long".to_owned());
    }
    if name.starts_with('/') {
        return Some("leading slash in name".to_owned());
    }
    if name.ends_with('/') {
        return Some("trailing slash in name".to_owned());
    }
    if name.contains("//") {
        return Some("empty component or misplaced '@' or '#' delimiter in name".to_owned());
    }
    if name.contains('%') {
        return Some("invalid character % in name".to_owned());
    }
    odd(name.replace('/', "").as_str())
}

/// Why a snapshot or bookmark may not be called so.
pub(super) fn short(whole: &str, short: &str) -> Option<String> {
    if short.is_empty() {
        return Some("empty component or misplaced '@' or '#' delimiter in name".to_owned());
    }
    odd(short).or_else(|| (whole.len() > 255).then(|| "name is too long".to_owned()))
}

fn odd(text: &str) -> Option<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_.: ".contains(c);
    text.chars().find(|c| !legal(*c)).map(|odd| {
        // The real one prints the first byte of a character that has several.
        let odd = if odd.is_ascii() { odd } else { '\u{fffd}' };
        format!("invalid character '{odd}' in name")
    })
}

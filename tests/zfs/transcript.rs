//! Recorded commands of real OpenZFS 2.3.9, and when two answers are alike.

use serde::Deserialize;

/// One recorded command.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Entry {
    pub(crate) cmd: String,
    pub(crate) run: u32,
    pub(crate) rc: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// What a command answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Said {
    pub(crate) rc: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// All of them in their order.
pub(crate) fn entries() -> Vec<Entry> {
    include_str!("recorded-2.3.9.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("a recorded line"))
        .collect()
}

/// How alike two answers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Likeness {
    /// Exit code, output and complaints, with times and ids mapped.
    Alike,
    /// The same but for amounts of bytes.
    ButForSizes,
    /// Not.
    Differs,
}

pub(crate) fn compare(cmd: &str, one: &Said, other: &Said) -> Likeness {
    if one.rc != other.rc {
        return Likeness::Differs;
    }
    let both = |map: &dyn Fn(&str) -> String| {
        map(&one.stdout) == map(&other.stdout) && map(&one.stderr) == map(&other.stderr)
    };
    if both(&|text| mapped(cmd, text, false)) {
        Likeness::Alike
    } else if both(&|text| mapped(cmd, text, true)) {
        Likeness::ButForSizes
    } else {
        Likeness::Differs
    }
}

/// Text with times, ids and tokens replaced; with `sizes` amounts and the padding around them as well.
pub(crate) fn mapped(cmd: &str, text: &str, sizes: bool) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let line = columns(cmd, line);
        let words = split(&line);
        let mut skip = 0;
        for (at, word) in words.iter().enumerate() {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            if let Some(length) = date(&words[at..]) {
                out.push_str("<time>");
                skip = length - 1;
            } else if is_id(word) {
                out.push_str("<id>");
            } else if is_time(word) {
                out.push_str("<time>");
            } else if sizes && is_size(word) {
                out.push_str("<size>");
            } else if sizes && word.chars().all(|c| c == ' ') {
                out.push(' ');
            } else {
                out.push_str(word);
            }
        }
        out.push('\n');
    }
    out
}

/// Transaction groups and object numbers by the columns in which they stand.
fn columns(cmd: &str, line: &str) -> String {
    let line = line.replace('"', "\" ");
    let token = |field: &str| {
        let is_token = field.trim_start().starts_with("1-")
            && field.matches('-').count() == 3
            && field.len() > 60;
        if is_token {
            "<token>".to_owned()
        } else {
            field.to_owned()
        }
    };
    let line = line.replace("    zfs send -t ", "\tzfs send -t\t");
    let mut fields: Vec<String> = line.split('\t').map(token).collect();
    let listed = cmd
        .split_whitespace()
        .skip_while(|word| *word != "-o")
        .nth(1)
        .unwrap_or_default();
    if cmd.starts_with("zfs list -Hp") {
        for (at, column) in listed.split(',').enumerate() {
            if column == "createtxg"
                && let Some(field) = fields.get_mut(at)
            {
                "<txg>".clone_into(field);
            }
        }
    }
    let is_txg = |name: &str| matches!(name, "createtxg" | "objsetid" | "last_scrubbed_txg");
    if fields.get(1).is_some_and(|name| is_txg(name))
        && let Some(field) = fields.get_mut(2)
    {
        "<txg>".clone_into(field);
    }
    let mut joined = fields.join("\t");
    for key in ["createtxg", "txg", "objsetid"] {
        let mut done = String::new();
        let mut rest = joined.as_str();
        let mark = format!("\" {key}\" :");
        while let Some(at) = rest.find(&mark) {
            let from = at + mark.len();
            done.push_str(&rest[..from]);
            rest = rest[from..]
                .trim_start_matches(|c: char| c.is_ascii_digit() || c == '"' || c == ' ');
            done.push_str("<txg>");
        }
        done.push_str(rest);
        joined = done;
    }
    joined
}

/// Runs of letters, digits and dots, runs of blanks, and everything else one by one.
fn split(line: &str) -> Vec<&str> {
    let class = |c: char| match c {
        ' ' => 1,
        c if c.is_alphanumeric() || c == '.' || c == '_' => 2,
        _ => 0,
    };
    let mut out = Vec::new();
    let mut start = 0;
    let mut before = 3;
    for (at, c) in line.char_indices() {
        let now = class(c);
        if at > 0 && (now != before || now == 0) {
            out.push(&line[start..at]);
            start = at;
        }
        before = now;
    }
    if start < line.len() {
        out.push(&line[start..]);
    }
    out
}

fn digits(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// Ids are long; those above the signed range may end at its end.
fn is_id(word: &str) -> bool {
    (digits(word) && word.len() >= 15)
        || word
            .strip_prefix("0x")
            .is_some_and(|hex| hex.len() >= 5 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
        || (word.len() > 60 && word.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Seconds since 1970, in this century so far.
fn is_time(word: &str) -> bool {
    let whole = word.split('.').next().unwrap_or_default();
    digits(whole) && whole.len() == 10 && whole.starts_with(['1', '2'])
}

fn is_size(word: &str) -> bool {
    let number = word.trim_end_matches(['B', 'K', 'M', 'G', 'T', 'x']);
    !number.is_empty()
        && number
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
        && number.starts_with(|c: char| c.is_ascii_digit())
}

/// `Fri Nov 20 17:49 2026` and its longer forms: how many words and blanks it has.
fn date(words: &[&str]) -> Option<usize> {
    const DAYS: &[&str] = &["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    if !DAYS.contains(words.first()?) {
        return None;
    }
    let year = words
        .iter()
        .take(16)
        .position(|word| word.len() == 4 && word.starts_with("20") && digits(word))?;
    Some(year + 1)
}

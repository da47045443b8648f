//! The frames around what several commands of one script wrote.

/// One command's part of the output.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Section<'a> {
    /// The first word of its frame: `pool`, `datasets`.
    pub(super) about: &'a str,
    /// What follows it.
    pub(super) subject: &'a str,
    /// What the command wrote, as it is.
    pub(super) body: &'a str,
    /// Exit code.
    pub(super) code: i32,
    /// What it said on standard error.
    pub(super) said: &'a str,
}

impl<'a> Section<'a> {
    /// Its lines.
    pub(super) fn lines(&self) -> Vec<&'a str> {
        self.body.lines().collect()
    }

    /// Whether the command failed because there is no such pool or dataset.
    pub(super) fn is_missing(&self) -> bool {
        self.code != 0
            && (self.said.contains("no such pool") || self.said.contains("does not exist"))
    }

    /// What went wrong, where something did.
    pub(super) fn complaint(&self) -> Option<String> {
        (self.code != 0).then(|| {
            format!(
                "{} {}: exit {}: {}",
                self.about, self.subject, self.code, self.said
            )
        })
    }
}

/// A frame's line without its mark.
fn mark(line: &str) -> Option<(&str, &str)> {
    let mark = line.strip_prefix("==zfs ")?;
    Some(mark.split_once(' ').unwrap_or((mark, "")))
}

/// Parts the output. Words of `notes` stand alone, outside of any frame. Text outside a frame is an error: something else
/// wrote to our output.
///
/// # Errors
/// The line that makes no sense, or the frame that was never closed.
pub(super) fn sections<'a>(text: &'a str, notes: &[&str]) -> Result<Vec<Section<'a>>, String> {
    let mut sections = Vec::new();
    let mut open: Option<(Section<'a>, usize)> = None;
    let mut offset = 0;
    for raw in text.split_inclusive('\n') {
        let (begin, end) = (offset, offset + raw.len());
        offset = end;
        let line = raw.trim_end_matches(['\n', '\r']);
        let section = |about, subject| Section {
            about,
            subject,
            body: "",
            code: 0,
            said: "",
        };
        match (mark(line), open.take()) {
            (Some((about, subject)), None) if notes.contains(&about) => {
                sections.push(section(about, subject.trim()));
            }
            (Some(("exit", rest)), Some((mut section, start))) => {
                let (code, said) = rest.split_once(' ').unwrap_or((rest, ""));
                section.code = code
                    .parse()
                    .map_err(|_| format!("`{line}` has no exit code"))?;
                section.said = said.trim();
                section.body = &text[start..begin];
                sections.push(section);
            }
            (Some((about, subject)), None) if about != "exit" => {
                open = Some((section(about, subject), end));
            }
            (None, Some(still)) => open = Some(still),
            (None, None) if line.trim().is_empty() => {}
            (Some(_), _) | (None, None) => return Err(format!("unexpected line `{line}`")),
        }
    }
    match open {
        None => Ok(sections),
        Some((section, _)) => Err(format!(
            "the answer about {} {} was cut off",
            section.about, section.subject
        )),
    }
}

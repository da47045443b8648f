//! Which releases a stack had, and which of them are still on its host.

use serde::Serialize;

/// The releases of a stack on its host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct History {
    /// The release that the link names; none when it names nothing.
    pub current: Option<String>,
    /// Releases whose files are still there, youngest first, with when they were last written (seconds since 1970).
    pub staged: Vec<(String, u64)>,
    /// Every time that another release became current, oldest first.
    pub flips: Vec<Flip>,
}

/// Another release became current.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flip {
    /// When, RFC 3339 in UTC by the host's clock.
    pub at: String,
    /// A way back, in contrast to a deployment.
    pub back: bool,
    /// The release.
    pub release: String,
}

impl History {
    /// Whether the release's files are still there.
    pub fn has(&self, release: &str) -> bool {
        self.staged.iter().any(|(id, _)| id == release)
    }

    /// The release that ran before the current one and can run again: the last one that became current before it.
    pub fn before(&self) -> Option<&str> {
        let current = self.current.as_deref()?;
        let earlier = self.flips.iter().rev().map(|flip| flip.release.as_str());
        earlier
            .chain(self.staged.iter().map(|(id, _)| id.as_str()))
            .find(|id| *id != current && self.has(id))
    }
}

/// Reads what [`super::script::HISTORY`] printed.
///
/// # Errors
/// What was expected and is not there.
pub(super) fn parse(text: &str) -> Result<History, String> {
    let mut out = History::default();
    let mut ended = false;
    for line in text.lines() {
        let unknown = || format!("the line `{line}` about releases is unknown");
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["current", id] => out.current = (!id.is_empty()).then(|| (*id).to_owned()),
            ["staged", id, at] => {
                let at = at.parse().map_err(|_| unknown())?;
                out.staged.push(((*id).to_owned(), at));
            }
            ["flip", at, word @ ("deploy" | "back"), id] => out.flips.push(Flip {
                at: (*at).to_owned(),
                back: *word == "back",
                release: (*id).to_owned(),
            }),
            ["end"] => ended = true,
            _ => return Err(unknown()),
        }
    }
    if ended {
        Ok(out)
    } else {
        Err("the releases end early".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "current c3\nstaged c3 1795000000\nstaged b2 1794990000\n\
                        flip 2026-11-19T10:00:00Z deploy a1\nflip 2026-11-20T10:00:00Z deploy b2\n\
                        flip 2026-11-21T10:00:00Z deploy c3\nend\n";

    #[test]
    fn the_way_back_leads_to_what_ran_before_and_is_still_there() {
        let history = parse(SAID).expect("readable");
        assert_eq!(history.before(), Some("b2"));
        let gone = parse(&SAID.replace("staged b2 1794990000\n", "")).expect("readable");
        assert_eq!(gone.before(), None);
        assert!(gone.flips.len() == 3 && !gone.has("a1"));
        // Deployed by an infra that kept no history.
        let silent = SAID.lines().filter(|line| !line.starts_with("flip"));
        let silent: Vec<&str> = silent.collect();
        let silent = parse(&(silent.join("\n") + "\n")).expect("readable");
        assert_eq!(silent.before(), Some("b2"));
    }

    #[test]
    fn a_cut_answer_is_no_history() {
        assert!(parse(SAID.strip_suffix("end\n").expect("ends so")).is_err());
        assert!(parse("current x\nflip yesterday x\nend\n").is_err());
    }
}

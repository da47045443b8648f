//! `--on web-*,@dmz,node/pve,stack/jellyfin`: which part of a system a command is about.

use crate::model::{
    desired::Desired,
    ids::{HostName, StackName},
};
use std::{fmt, str::FromStr};

/// A part of a system, as chosen on the command line. Empty means everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector(Vec<Pattern>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    /// Any name.
    Name(Glob),
    /// Everything in a zone.
    Zone(Glob),
    /// Names of one kind.
    Kind(Kind, Glob),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Node,
    Guest,
    Host,
    Stack,
    Dataset,
}

const KINDS: [(&str, Kind); 5] = [
    ("node", Kind::Node),
    ("guest", Kind::Guest),
    ("host", Kind::Host),
    ("stack", Kind::Stack),
    ("dataset", Kind::Dataset),
];

/// A name with `*` for any run of characters and `?` for one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Glob(String);

impl Glob {
    fn matches(&self, text: &str) -> bool {
        fn inner(pattern: &[char], text: &[char]) -> bool {
            match (pattern.split_first(), text.split_first()) {
                (None, None) => true,
                (Some(('*', rest)), _) => {
                    inner(rest, text)
                        || text
                            .split_first()
                            .is_some_and(|(_, text)| inner(pattern, text))
                }
                (Some(('?', rest)), Some((_, text))) => inner(rest, text),
                (Some((p, rest)), Some((t, text))) if p == t => inner(rest, text),
                _ => false,
            }
        }
        let pattern: Vec<char> = self.0.chars().collect();
        let text: Vec<char> = text.chars().collect();
        inner(&pattern, &text)
    }
}

/// Why a text is not a selector, or selects nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSelector {
    /// An empty part.
    #[error(
        "read the selector: it has an empty part; write for example `intranet,@dmz,stack/jellyfin`"
    )]
    Empty,
    /// A part of a kind that does not exist.
    #[error("read the selector: `{0}` is no kind; write node/, guest/, host/, stack/ or dataset/")]
    Kind(String),
    /// A part that nothing matches.
    #[error(
        "find what `{0}` selects: no host, zone, stack or dataset of the inventory is called so"
    )]
    Nothing(String),
}

impl FromStr for Selector {
    type Err = InvalidSelector;

    fn from_str(text: &str) -> Result<Self, InvalidSelector> {
        let mut patterns = Vec::new();
        for part in text.split(',').map(str::trim) {
            patterns.push(pattern(part)?);
        }
        Ok(Self(patterns))
    }
}

fn pattern(part: &str) -> Result<Pattern, InvalidSelector> {
    if let Some(zone) = part.strip_prefix('@') {
        return if zone.is_empty() {
            Err(InvalidSelector::Empty)
        } else {
            Ok(Pattern::Zone(Glob(zone.to_owned())))
        };
    }
    if let Some((kind, name)) = part.split_once('/') {
        let known = KINDS.iter().find(|(word, _)| *word == kind);
        let (_, kind) = known.ok_or_else(|| InvalidSelector::Kind(kind.to_owned()))?;
        return if name.is_empty() {
            Err(InvalidSelector::Empty)
        } else {
            Ok(Pattern::Kind(*kind, Glob(name.to_owned())))
        };
    }
    if part.is_empty() {
        Err(InvalidSelector::Empty)
    } else {
        Ok(Pattern::Name(Glob(part.to_owned())))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(glob) => f.write_str(&glob.0),
            Self::Zone(glob) => write!(f, "@{}", glob.0),
            Self::Kind(kind, glob) => {
                let word = KINDS
                    .iter()
                    .find(|(_, own)| own == kind)
                    .map_or("", |(word, _)| word);
                write!(f, "{word}/{}", glob.0)
            }
        }
    }
}

/// Something that a selector may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A node, guest or external host.
    Host(&'a HostName),
    /// A stack; it is also chosen by its host.
    Stack(&'a StackName),
    /// A dataset by its full name; it is also chosen by its pool's host.
    Dataset(&'a crate::model::ids::DatasetName),
}

impl Selector {
    /// Whether everything is chosen because nothing was asked for.
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a thing is chosen.
    pub fn selects(&self, subject: Subject<'_>, desired: &Desired) -> bool {
        self.is_everything()
            || self
                .0
                .iter()
                .any(|pattern| chosen(pattern, subject, desired))
    }

    /// Refuses a selector with a part that nothing matches: a typo would look like "nothing to do".
    ///
    /// # Errors
    /// [`InvalidSelector::Nothing`] with the first such part.
    pub fn verify(&self, desired: &Desired) -> Result<(), InvalidSelector> {
        let hosts = desired.all_hosts().map(Subject::Host);
        let stacks = desired.stacks.keys().map(Subject::Stack);
        let datasets = desired.datasets.keys().map(Subject::Dataset);
        let all: Vec<Subject<'_>> = hosts.chain(stacks).chain(datasets).collect();
        let idle = self
            .0
            .iter()
            .find(|pattern| !all.iter().any(|subject| chosen(pattern, *subject, desired)));
        match idle {
            Some(pattern) => Err(InvalidSelector::Nothing(pattern.to_string())),
            None => Ok(()),
        }
    }
}

fn chosen(pattern: &Pattern, subject: Subject<'_>, desired: &Desired) -> bool {
    let home = match subject {
        Subject::Host(_) => None,
        Subject::Stack(name) => desired.stacks.get(name).map(|stack| &stack.on),
        Subject::Dataset(name) => desired.datasets.get(name).map(|dataset| &dataset.host),
    };
    let by_home = home.is_some_and(|host| chosen(pattern, Subject::Host(host), desired));
    let own = match (pattern, subject) {
        (Pattern::Name(glob), Subject::Host(name)) => glob.matches(name.as_str()),
        (Pattern::Name(glob) | Pattern::Kind(Kind::Stack, glob), Subject::Stack(name)) => {
            glob.matches(name.as_str())
        }
        (Pattern::Name(glob) | Pattern::Kind(Kind::Dataset, glob), Subject::Dataset(name)) => {
            glob.matches(name.as_str())
        }
        (Pattern::Zone(glob), Subject::Host(name)) => desired
            .zones_of(name)
            .any(|zone| glob.matches(zone.as_str())),
        (Pattern::Kind(kind, glob), Subject::Host(name)) => {
            let of_kind = match kind {
                Kind::Node => desired.nodes.contains_key(name),
                Kind::Guest => desired.guests.contains_key(name),
                Kind::Host => true,
                Kind::Stack | Kind::Dataset => false,
            };
            of_kind && glob.matches(name.as_str())
        }
        (Pattern::Zone(_) | Pattern::Kind(..), Subject::Stack(_) | Subject::Dataset(_)) => false,
    };
    own || by_home
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_in_a_shell() {
        for (pattern, text, expected) in [
            ("web-*", "web-1", true),
            ("web-*", "web", false),
            ("*", "", true),
            ("?an", "lan", true),
            ("a*c*", "abcd", true),
        ] {
            assert_eq!(
                Glob(pattern.to_owned()).matches(text),
                expected,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn a_bad_selector_is_an_error_and_not_nothing() {
        assert_eq!("a,,b".parse::<Selector>(), Err(InvalidSelector::Empty));
        assert_eq!(
            "vm/x".parse::<Selector>(),
            Err(InvalidSelector::Kind("vm".to_owned()))
        );
        let all: Selector = "web-*,@dmz,node/pve,stack/jellyfin".parse().expect("valid");
        assert_eq!(
            all.0
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(","),
            "web-*,@dmz,node/pve,stack/jellyfin"
        );
    }
}

//! YAML text -> where everything in it stands, and whether it was quoted.
//!
//! Values come from serde; this is what messages need beside them.

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span, StrInput};
use std::{collections::BTreeMap, ops::Range};

/// Aliases may multiply nodes; a compose file never needs this many.
const MAX_NODES: usize = 100_000;

/// A value's place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Bytes of the text: a scalar whole, a collection at its beginning.
    pub(super) range: Range<usize>,
    pub(super) kind: Kind,
}

/// What stands there.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Scalar { text: String, plain: bool },
    List(Vec<Node>),
    Map(Vec<(String, Range<usize>, Node)>),
}

/// Why the text is no YAML, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) range: Range<usize>,
    pub(super) why: String,
    /// Where the same key stood first.
    pub(super) first: Option<Range<usize>>,
}

impl Node {
    /// What a map has under a key.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|(_, node)| node)
    }

    /// The key's own place with its value.
    pub(super) fn entry(&self, key: &str) -> Option<(Range<usize>, &Self)> {
        let Kind::Map(entries) = &self.kind else {
            return None;
        };
        let found = entries.iter().find(|(own, ..)| own == key)?;
        Some((found.1.clone(), &found.2))
    }

    /// The entries of a map with the places of their keys.
    pub(super) fn entries(&self) -> &[(String, Range<usize>, Self)] {
        match &self.kind {
            Kind::Map(entries) => entries,
            Kind::Scalar { .. } | Kind::List(_) => &[],
        }
    }

    /// The items of a list.
    pub(super) fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List(items) => items,
            Kind::Scalar { .. } | Kind::Map(_) => &[],
        }
    }

    /// Every scalar that was written without quotes, below this one.
    pub(super) fn plain(&self) -> Vec<(&str, Range<usize>)> {
        match &self.kind {
            Kind::Scalar { text, plain: true } => vec![(text, self.range.clone())],
            Kind::Scalar { plain: false, .. } => vec![],
            Kind::List(items) => items.iter().flat_map(Self::plain).collect(),
            Kind::Map(entries) => entries.iter().flat_map(|(.., node)| node.plain()).collect(),
        }
    }
}

/// Reads one document; none when there is nothing in it.
pub(super) fn parse(text: &str) -> Result<Option<Node>, Broken> {
    let mut reader = Reader {
        events: Parser::new_from_str(text),
        anchors: BTreeMap::new(),
        nodes: 0,
    };
    let mut root = None;
    while let Some((event, span)) = reader.next()? {
        match event {
            Event::StreamStart
            | Event::DocumentStart(..)
            | Event::DocumentEnd
            | Event::StreamEnd => {}
            Event::Scalar(..)
            | Event::SequenceStart(..)
            | Event::MappingStart(..)
            | Event::Alias(_)
                if root.is_none() =>
            {
                root = Some(reader.node(event, &span)?);
            }
            Event::Scalar(..)
            | Event::SequenceStart(..)
            | Event::MappingStart(..)
            | Event::Alias(_)
            | Event::SequenceEnd
            | Event::MappingEnd
            | Event::Anchor(..)
            | Event::UnresolvedAlias(_)
            | _ => return Err(broken(&span, "a second YAML document begins here")),
        }
    }
    Ok(root)
}

struct Reader<'t> {
    events: Parser<'t, StrInput<'t>>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<Option<(Event<'t>, Span)>, Broken> {
        loop {
            return match self.events.next_event() {
                None => Ok(None),
                Some(Ok((Event::Anchor(..), _))) => continue,
                Some(Ok(pair)) => Ok(Some(pair)),
                Some(Err(error)) => {
                    let at = error.marker().byte_offset().unwrap_or(0);
                    Err(Broken {
                        range: at..at + 1,
                        why: error.kind().to_string(),
                        first: None,
                    })
                }
            };
        }
    }

    fn node(&mut self, event: Event<'t>, span: &Span) -> Result<Node, Broken> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(broken(span, "aliases multiply beyond reason here"));
        }
        let start = range(span);
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let kind = Kind::Scalar {
                    text: text.into_owned(),
                    plain: style == ScalarStyle::Plain,
                };
                Ok(self.keep(anchor, Node { range: start, kind }))
            }
            Event::SequenceStart(_, anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        None | Some((Event::SequenceEnd, _)) => break,
                        Some((event, span)) => items.push(self.node(event, &span)?),
                    }
                }
                let kind = Kind::List(items);
                Ok(self.keep(anchor, Node { range: start, kind }))
            }
            Event::MappingStart(_, anchor, _) => {
                let entries = self.entries()?;
                let kind = Kind::Map(entries);
                Ok(self.keep(anchor, Node { range: start, kind }))
            }
            Event::Alias(anchor) => {
                let found = self.anchors.get(&anchor).cloned();
                let node = found.ok_or_else(|| broken(span, "an alias refers to itself"))?;
                self.nodes += count(&node);
                Ok(node)
            }
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd
            | Event::Anchor(..)
            | Event::UnresolvedAlias(_)
            | Event::SequenceEnd
            | Event::MappingEnd
            | _ => Err(broken(span, "a value was expected here")),
        }
    }

    /// The entries of a map, then what its merge keys add.
    fn entries(&mut self) -> Result<Vec<(String, Range<usize>, Node)>, Broken> {
        let mut entries: Vec<(String, Range<usize>, Node)> = Vec::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = match self.next()? {
                None | Some((Event::MappingEnd, _)) => break,
                Some(pair) => pair,
            };
            let key = self.node(event, &span)?;
            let Kind::Scalar { text, plain } = key.kind else {
                return Err(broken(&span, "a key is a single word"));
            };
            let Some((event, at)) = self.next()? else {
                break;
            };
            let value = self.node(event, &at)?;
            if plain && text == "<<" {
                merged.push(value);
            } else if let Some((_, first, _)) = entries.iter().find(|(own, ..)| *own == text) {
                return Err(Broken {
                    range: key.range,
                    why: format!("`{text}` is written twice"),
                    first: Some(first.clone()),
                });
            } else {
                entries.push((text, key.range, value));
            }
        }
        for source in merged {
            let maps = match source.kind {
                Kind::List(items) => items,
                Kind::Map(_) | Kind::Scalar { .. } => vec![source],
            };
            for (key, range, node) in maps.iter().flat_map(Node::entries) {
                if entries.iter().all(|(own, ..)| own != key) {
                    entries.push((key.clone(), range.clone(), node.clone()));
                }
            }
        }
        Ok(entries)
    }

    fn keep(&mut self, anchor: usize, node: Node) -> Node {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        node
    }
}

fn count(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::Scalar { .. } => 0,
        Kind::List(items) => items.iter().map(count).sum(),
        Kind::Map(entries) => entries.iter().map(|(.., node)| count(node)).sum(),
    }
}

fn range(span: &Span) -> Range<usize> {
    span.byte_range().unwrap_or(0..0)
}

fn broken(span: &Span, why: &str) -> Broken {
    Broken {
        range: range(span),
        why: why.to_owned(),
        first: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_quotes_and_merges_are_known() {
        let text = "x: &b {a: 1, b: no}\ny: {<<: *b, a: \"2\"}\n";
        let root = parse(text).expect("YAML").expect("something");
        let y = root.get("y").expect("there");
        let (at, a) = y.entry("a").expect("there");
        assert_eq!(&text[at], "a");
        assert!(matches!(&a.kind, Kind::Scalar { text, plain: false } if text == "2"));
        assert_eq!(&text[y.get("b").expect("merged").range.clone()], "no");
        let plain: Vec<&str> = root.plain().into_iter().map(|(text, _)| text).collect();
        assert_eq!(plain, ["1", "no", "no"]);
    }

    #[test]
    fn what_is_broken_has_its_place() {
        let twice = parse("a: 1\nb: 2\na: 3\n").expect_err("twice");
        assert_eq!((twice.range.start, twice.first), (10, Some(0..1)));
        let tab = parse("a:\n\tb: 1\n").expect_err("a tab");
        assert!(tab.why.contains("tab") && tab.range.start >= 3, "{tab:?}");
        assert!(parse("a: {b\n").is_err() && parse("a: *b\n").is_err());
        assert!(parse("").expect("nothing is YAML").is_none());
    }
}

//! YAML text -> a tree that knows where everything stands.
//!
//! Built on parser events instead of a serde value, so that every duplicate key of a file is reported in one run.

use super::{
    codes,
    source::{Sources, Span},
};
use crate::diagnostic::Diagnostic;
use serde_saphyr::granit_parser::{
    Event, Parser, ScalarStyle, Span as YamlSpan, StructureStyle, Tag,
};
use std::{borrow::Cow, collections::BTreeMap};

/// Aliases may multiply nodes; a homelab never needs this many.
const MAX_NODES: usize = 200_000;

const NOT_YAML: &str = "this is not YAML";
/// What it nearly always is.
const QUOTE: &str = "indent with spaces, close brackets and quotes, and quote text that holds `: ` or ` #` or begins with \
                     `*`, `&`, `[` or `{`";

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// What a label points at: the value itself when it is on one line, else its key.
    pub(crate) mark: Span,
    /// The value.
    pub(crate) kind: Kind,
}

/// A value.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// A scalar; `plain` when it was not quoted, so that it may be a number or a boolean.
    Scalar {
        /// Its text.
        text: String,
        /// Without quotes.
        plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A map in the owner's order, without duplicates.
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// Its text.
    pub(crate) text: String,
    /// Where it stands.
    pub(crate) mark: Span,
}

impl Node {
    /// Whether nothing was written.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// A word for the kind of value, for messages.
    pub(crate) fn noun(&self) -> &'static str {
        match &self.kind {
            Kind::Scalar { .. } if self.is_null() => "nothing",
            Kind::Scalar { .. } => "a single value",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }

    fn count(&self) -> usize {
        1 + match &self.kind {
            Kind::Scalar { .. } => 0,
            Kind::List(items) => items.iter().map(Self::count).sum(),
            Kind::Map(entries) => entries.iter().map(|(_, node)| node.count()).sum(),
        }
    }
}

/// Parses one file. The answer is none when it is not YAML or has nothing in it.
pub(crate) fn parse(file: u32, sources: &Sources, out: &mut Vec<Diagnostic>) -> Option<Node> {
    let text = sources.text(file);
    let mut builder = Builder {
        file,
        sources,
        out,
        anchors: BTreeMap::new(),
        nodes: 0,
    };
    let mut parser = Parser::new_from_str(&text);
    match builder.document(&mut parser) {
        Ok(node) => node,
        Err(stop) => {
            let place = sources.place(stop.span);
            let mut torn = Diagnostic::error(codes::SYNTAX, stop.summary).at(&place, stop.label);
            if torn.summary == NOT_YAML {
                torn = torn.help(QUOTE);
            }
            out.push(torn);
            None
        }
    }
}

struct Stop {
    span: Span,
    summary: String,
    label: String,
}

struct Builder<'a> {
    file: u32,
    sources: &'a Sources,
    out: &'a mut Vec<Diagnostic>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
}

type Events<'input, 'p> = &'p mut Parser<'input, serde_saphyr::granit_parser::StrInput<'input>>;

impl Builder<'_> {
    fn document(&mut self, events: Events<'_, '_>) -> Result<Option<Node>, Stop> {
        let mut root = None;
        while let Some((event, span)) = self.next(events)? {
            let is_frame = matches!(
                event,
                Event::StreamStart
                    | Event::DocumentStart(..)
                    | Event::DocumentEnd
                    | Event::StreamEnd
            );
            if is_frame {
                continue;
            }
            if root.is_some() {
                return Err(Stop {
                    span: self.span(span),
                    summary: "a file holds one YAML document".to_owned(),
                    label: "a second document begins here".to_owned(),
                });
            }
            root = Some(self.node(event, span, None, events)?);
        }
        Ok(root.filter(|node: &Node| !node.is_null()))
    }

    fn next<'i>(&mut self, events: Events<'i, '_>) -> Result<Option<(Event<'i>, YamlSpan)>, Stop> {
        loop {
            return match events.next_event() {
                None => Ok(None),
                Some(Ok((Event::Anchor(..), _))) => continue,
                Some(Ok(pair)) => Ok(Some(pair)),
                Some(Err(error)) => {
                    let at = error.marker().byte_offset().unwrap_or(0);
                    let at = u32::try_from(at).unwrap_or(u32::MAX);
                    Err(Stop {
                        span: Span {
                            file: self.file,
                            start: at,
                            end: at.saturating_add(1),
                        },
                        summary: NOT_YAML.to_owned(),
                        label: error.kind().to_string(),
                    })
                }
            };
        }
    }

    fn node<'i>(
        &mut self,
        event: Event<'i>,
        span: YamlSpan,
        key: Option<Span>,
        events: Events<'i, '_>,
    ) -> Result<Node, Stop> {
        self.nodes += 1;
        self.within_budget(span)?;
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !is_text(tag.as_ref());
                let one_line = matches!(
                    style,
                    ScalarStyle::Plain | ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted
                );
                let own = self.span(span);
                let mark = match key {
                    Some(key) if !one_line || own.start == own.end => key,
                    _ => own,
                };
                let kind = Kind::Scalar {
                    text: text.into_owned(),
                    plain,
                };
                Ok(self.keep(anchor, Node { mark, kind }))
            }
            Event::SequenceStart(style, anchor, _) => {
                let mut items = Vec::new();
                let end = loop {
                    match self.next(events)? {
                        Some((Event::SequenceEnd, end)) => break end,
                        Some((event, span)) => items.push(self.node(event, span, None, events)?),
                        None => break span,
                    }
                };
                let first = items.first().map(|node| node.mark);
                let mark = self.mark(span, end, style, key, first);
                Ok(self.keep(
                    anchor,
                    Node {
                        mark,
                        kind: Kind::List(items),
                    },
                ))
            }
            Event::MappingStart(style, anchor, _) => {
                let mut entries = Vec::new();
                let mut merged = Vec::new();
                let end = loop {
                    match self.next(events)? {
                        Some((Event::MappingEnd, end)) => break end,
                        Some((event, span)) => {
                            self.entry(event, span, events, &mut entries, &mut merged)?;
                        }
                        None => break span,
                    }
                };
                for (key, node) in merged {
                    if !entries
                        .iter()
                        .any(|(own, _): &(Key, Node)| own.text == key.text)
                    {
                        entries.push((key, node));
                    }
                }
                let first = entries.first().map(|(key, _)| key.mark);
                let mark = self.mark(span, end, style, key, first);
                Ok(self.keep(
                    anchor,
                    Node {
                        mark,
                        kind: Kind::Map(entries),
                    },
                ))
            }
            Event::Alias(anchor) => {
                let own = self.span(span);
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err(Stop {
                        span: own,
                        summary: "an alias refers to itself".to_owned(),
                        label: "inside its own anchor".to_owned(),
                    });
                };
                let node = node.clone();
                self.nodes += node.count();
                self.within_budget(span)?;
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
            | _ => Err(Stop {
                span: self.span(span),
                summary: NOT_YAML.to_owned(),
                label: "a value was expected".to_owned(),
            }),
        }
    }

    fn entry<'i>(
        &mut self,
        event: Event<'i>,
        span: YamlSpan,
        events: Events<'i, '_>,
        entries: &mut Vec<(Key, Node)>,
        merged: &mut Vec<(Key, Node)>,
    ) -> Result<(), Stop> {
        let node = self.node(event, span, None, events)?;
        let Kind::Scalar { text, plain } = node.kind else {
            return Err(Stop {
                span: node.mark,
                summary: "a key is a single word".to_owned(),
                label: "this key is a collection".to_owned(),
            });
        };
        let mark = node.mark;
        let value = match self.next(events)? {
            Some((event, span)) => self.node(event, span, Some(mark), events)?,
            None => return Ok(()),
        };
        if plain && text == "<<" {
            return merge(value, merged);
        }
        if let Some((first, _)) = entries.iter().find(|(key, _)| key.text == text) {
            let first = self.sources.place(first.mark);
            let second = self.sources.place(mark);
            self.out.push(
                Diagnostic::error(codes::DUPLICATE_KEY, format!("`{text}` is written twice"))
                    .at(&second, "again here")
                    .at(&first, "first here")
                    .help("keep one of the two"),
            );
        } else {
            entries.push((Key { text, mark }, value));
        }
        Ok(())
    }

    fn within_budget(&self, span: YamlSpan) -> Result<(), Stop> {
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        Err(Stop {
            span: self.span(span),
            summary: format!("the file holds more than {MAX_NODES} values"),
            label: "aliases multiply here".to_owned(),
        })
    }

    fn keep(&mut self, anchor: usize, node: Node) -> Node {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        node
    }

    /// A collection on one line is shown whole, a longer one by its key or its first entry.
    fn mark(
        &self,
        start: YamlSpan,
        end: YamlSpan,
        style: StructureStyle,
        key: Option<Span>,
        first: Option<Span>,
    ) -> Span {
        let whole = Span {
            end: self.span(end).end,
            ..self.span(start)
        };
        let text = self.sources.text(self.file);
        let one_line = text
            .get(whole.start as usize..whole.end as usize)
            .is_some_and(|slice| !slice.contains('\n'));
        if style == StructureStyle::Flow && one_line {
            whole
        } else {
            key.or(first).unwrap_or(whole)
        }
    }

    fn span(&self, span: YamlSpan) -> Span {
        let range = span.byte_range().unwrap_or(0..0);
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Span {
            file: self.file,
            start: small(range.start),
            end: small(range.end),
        }
    }
}

/// `<<: *anchor` or `<<: [*a, *b]`: entries that the map does not have itself; the first source wins.
fn merge(value: Node, merged: &mut Vec<(Key, Node)>) -> Result<(), Stop> {
    let mark = value.mark;
    let maps = match value.kind {
        Kind::Map(entries) => vec![entries],
        Kind::List(items) if items.iter().all(|n| matches!(n.kind, Kind::Map(_))) => items
            .into_iter()
            .filter_map(|node| match node.kind {
                Kind::Map(entries) => Some(entries),
                Kind::Scalar { .. } | Kind::List(_) => None,
            })
            .collect(),
        Kind::Scalar { .. } | Kind::List(_) => {
            return Err(Stop {
                span: mark,
                summary: "`<<` merges a map".to_owned(),
                label: "this is not a map".to_owned(),
            });
        }
    };
    for (key, node) in maps.into_iter().flatten() {
        if !merged.iter().any(|(own, _)| own.text == key.text) {
            merged.push((key, node));
        }
    }
    Ok(())
}

/// `!!str 10` is text although it is not quoted.
fn is_text(tag: Option<&Cow<'_, Tag>>) -> bool {
    tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> (Option<Node>, Vec<Diagnostic>) {
        let mut sources = Sources::default();
        let file = sources.add("a.yaml", text);
        let mut out = Vec::new();
        (parse(file, &sources, &mut out), out)
    }

    #[test]
    fn every_duplicate_key_of_a_file_is_reported() {
        let (node, out) = tree("a: 1\na: 2\nb: {c: 1, c: 2}\n");
        assert!(node.is_some());
        assert_eq!(out.len(), 2);
        assert_eq!(
            (out[0].labels[0].place.line, out[0].labels[1].place.line),
            (2, 1)
        );
    }

    #[test]
    fn merge_keys_fill_in_what_the_map_does_not_have() {
        let (node, out) = tree("base: &b {cores: 2, cpu: host}\nx: {<<: *b, cores: 4}\n");
        assert!(out.is_empty(), "{out:?}");
        let Some(Node {
            kind: Kind::Map(entries),
            ..
        }) = node
        else {
            panic!("a map")
        };
        let Kind::Map(x) = &entries[1].1.kind else {
            panic!("a map")
        };
        let words: Vec<_> = x
            .iter()
            .map(|(key, node)| match &node.kind {
                Kind::Scalar { text, .. } => format!("{}={text}", key.text),
                Kind::List(_) | Kind::Map(_) => String::new(),
            })
            .collect();
        assert_eq!(words, ["cores=4", "cpu=host"]);
    }

    #[test]
    fn a_billion_laughs_are_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let inner = vec![format!("*a{}", level - 1); 10].join(", ");
            text = format!("{text}a{level}: &a{level} [{inner}]\n");
        }
        let (node, out) = tree(&text);
        assert!(node.is_none());
        assert!(out[0].summary.contains("more than"), "{out:?}");
    }
}

//! Files as read, and places in them.

use crate::diagnostic::{Place, Source};
use std::sync::Arc;

/// A stretch of one file in bytes. Small enough to be carried by every value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    /// Index into [`Sources`].
    pub(crate) file: u32,
    /// First byte.
    pub(crate) start: u32,
    /// Byte after the last.
    pub(crate) end: u32,
}

/// All files of one inventory: its YAML files first, then templates that were looked at.
#[derive(Debug, Default)]
pub(crate) struct Sources(Vec<Source>);

impl Sources {
    /// Keeps a file and returns its index.
    pub(crate) fn add(&mut self, name: &str, text: &str) -> u32 {
        self.0.push(Source {
            name: Arc::from(name),
            text: Arc::from(text),
        });
        u32::try_from(self.0.len() - 1).expect("fewer than four billion files")
    }

    /// The text of a file.
    pub(crate) fn text(&self, file: u32) -> Arc<str> {
        self.0
            .get(file as usize)
            .map_or_else(|| Arc::from(""), |source| Arc::clone(&source.text))
    }

    /// The place of a span, for people and for tools.
    pub(crate) fn place(&self, span: Span) -> Place {
        let Some(source) = self.0.get(span.file as usize) else {
            return Place {
                file: Arc::from(""),
                line: 1,
                column: 1,
                offset: 0,
                length: 0,
            };
        };
        let start = (span.start as usize).min(source.text.len());
        let end = (span.end as usize).clamp(start, source.text.len());
        let before = source.text.get(..start).unwrap_or("");
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place {
            file: Arc::clone(&source.name),
            line: count(before.matches('\n').count() + 1),
            column: count(before[line_start..].chars().count() + 1),
            offset: start,
            length: end - start,
        }
    }

    /// All files.
    pub(crate) fn into_vec(self) -> Vec<Source> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_offsets_count_bytes() {
        let mut sources = Sources::default();
        let file = sources.add("a.yaml", "x: 1\nété: où\n");
        let place = sources.place(Span {
            file,
            start: 12,
            end: 15,
        });
        assert_eq!((place.line, place.column), (2, 6));
        assert_eq!((place.offset, place.length), (12, 3));
    }
}

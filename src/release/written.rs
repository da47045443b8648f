//! A compose file as its owner wrote it: rendered bytes -> places in the template.

use super::tree::{self, Broken, Node};
use crate::diagnostic::{Diagnostic, Place};
use crate::model::{ids::SecretName, stack::StackFile};
use crate::template;
use serde_json::Value;
use std::{cell::OnceCell, collections::BTreeSet, ops::Range, sync::Arc};

/// The rendered text with the template that it comes from.
pub(super) struct Written<'a> {
    file: &'a StackFile,
    context: &'a Value,
    secrets: &'a BTreeSet<SecretName>,
    rendered: String,
    lines: OnceCell<Option<Vec<usize>>>,
    root: Option<Node>,
}

impl<'a> Written<'a> {
    /// Reads rendered text, secrets as names.
    ///
    /// # Errors
    /// The text, which still knows its places, and what is broken in it.
    pub(super) fn read(
        file: &'a StackFile,
        rendered: String,
        context: &'a Value,
        secrets: &'a BTreeSet<SecretName>,
    ) -> Result<Self, Box<(Self, Broken)>> {
        let parsed = tree::parse(&rendered);
        let mut written = Self {
            file,
            context,
            secrets,
            rendered,
            lines: OnceCell::new(),
            root: None,
        };
        match parsed {
            Ok(root) => {
                written.root = root;
                Ok(written)
            }
            Err(broken) => Err(Box::new((written, broken))),
        }
    }

    /// The file's name as the owner knows it.
    pub(super) fn origin(&self) -> &str {
        &self.file.origin
    }

    /// The rendered text.
    pub(super) fn text(&self) -> &str {
        &self.rendered
    }

    /// Everything in it, none when there is nothing.
    pub(super) fn root(&self) -> Option<&Node> {
        self.root.as_ref()
    }

    /// The diagnostic with a label at these bytes of the rendered text; where the template's line is not known for sure, the
    /// rendered one is told in words.
    pub(super) fn label(
        &self,
        diagnostic: Diagnostic,
        range: &Range<usize>,
        text: &str,
    ) -> Diagnostic {
        if let Some(place) = self.place(range) {
            return diagnostic.at(&place, text);
        }
        let line = self.line_of(range.start);
        let mut diagnostic = diagnostic;
        diagnostic.summary = format!("{} (line {line} as rendered)", diagnostic.summary);
        diagnostic
    }

    fn line_of(&self, at: usize) -> usize {
        let before = self.rendered.get(..at).unwrap_or(&self.rendered);
        before.matches('\n').count() + 1
    }

    /// The place of these bytes in the template, where that is known for sure.
    pub(super) fn place(&self, range: &Range<usize>) -> Option<Place> {
        let template = &self.file.text;
        let rendered = self.line_of(range.start);
        let line = if self.file.raw || *template == self.rendered {
            rendered
        } else {
            let lines = self
                .lines
                .get_or_init(|| template::origins(template, self.context, self.secrets));
            *lines.as_ref()?.get(rendered - 1)?
        };
        let start: usize = template
            .split_inclusive('\n')
            .take(line - 1)
            .map(str::len)
            .sum();
        let whole = template[start..].lines().next().unwrap_or_default();
        let wanted = self.rendered.get(range.clone()).unwrap_or_default();
        let wanted = wanted.lines().next().unwrap_or_default();
        // What the template says differently is pointed at as a whole line.
        let column = self.column(range.start);
        let same = whole
            .get(column..)
            .is_some_and(|rest| rest.starts_with(wanted));
        let (from, length) = if !wanted.is_empty() && same {
            (column, wanted.len())
        } else if let (false, Some(found)) = (wanted.is_empty(), whole.find(wanted)) {
            (found, wanted.len())
        } else {
            let indent = whole.len() - whole.trim_start().len();
            (indent, whole.trim().len())
        };
        let column = whole[..from].chars().count() + 1;
        Some(Place {
            file: Arc::from(self.file.origin.as_str()),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
            offset: start + from,
            length,
        })
    }

    /// Bytes between the beginning of the rendered line and this place.
    fn column(&self, at: usize) -> usize {
        let before = self.rendered.get(..at).unwrap_or_default();
        at - before.rfind('\n').map_or(0, |end| end + 1)
    }
}

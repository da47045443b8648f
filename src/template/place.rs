//! Byte ranges of a template -> places for people.

use crate::diagnostic::Place;
use std::{ops::Range, sync::Arc};

/// The place of a byte range. A range that leaves the text is cut to it.
pub(super) fn place(file: &str, text: &str, range: &Range<usize>) -> Place {
    let mut start = range.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let before = &text[..start];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    Place {
        file: Arc::from(file),
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column).unwrap_or(u32::MAX),
        offset: start,
        length: range.end.min(text.len()).saturating_sub(start),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_offsets_count_bytes() {
        let found = place("a.conf", "é\nßx y", &(5..6));
        assert_eq!(
            (found.line, found.column, found.offset, found.length),
            (2, 2, 5, 1)
        );
        assert_eq!(place("a.conf", "x", &(7..9)).offset, 1);
    }
}

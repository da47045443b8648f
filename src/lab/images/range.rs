//! `Range` requests, RFC 9110 section 14, for one range of bytes.

/// What a request asks of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it. Also for ranges in a form that is not understood: ignoring them is allowed.
    Whole,
    /// From the first byte to the last, both included.
    Part {
        /// First byte.
        first: u64,
        /// Last byte.
        last: u64,
    },
    /// A range that the file does not have.
    Beyond,
}

/// What `header` asks of a file of `size` bytes.
pub(super) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some((from, to)) = header
        .and_then(|value| value.strip_prefix("bytes="))
        .and_then(|spec| spec.split_once('-'))
    else {
        return Wanted::Whole;
    };
    let (first, last) = match (from.trim().parse::<u64>(), to.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.min(size.saturating_sub(1))),
        (Ok(first), Err(_)) if to.trim().is_empty() => (first, size.saturating_sub(1)),
        (Err(_), Ok(0)) if from.trim().is_empty() => return Wanted::Beyond,
        (Err(_), Ok(tail)) if from.trim().is_empty() => {
            (size.saturating_sub(tail), size.saturating_sub(1))
        }
        (Ok(_) | Err(_), Ok(_) | Err(_)) => return Wanted::Whole,
    };
    if first >= size {
        Wanted::Beyond
    } else {
        Wanted::Part { first, last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_understood_and_clipped() {
        let part = |first, last| Wanted::Part { first, last };
        assert_eq!(wanted(Some("bytes=0-3"), 10), part(0, 3));
        assert_eq!(wanted(Some("bytes=4-"), 10), part(4, 9));
        assert_eq!(wanted(Some("bytes=4-99"), 10), part(4, 9));
        assert_eq!(wanted(Some("bytes=-3"), 10), part(7, 9));
        assert_eq!(wanted(Some("bytes=-30"), 10), part(0, 9));
    }

    #[test]
    fn a_range_past_the_end_is_refused() {
        assert_eq!(wanted(Some("bytes=10-"), 10), Wanted::Beyond);
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Beyond);
        assert_eq!(wanted(Some("bytes=-0"), 10), Wanted::Beyond);
    }

    #[test]
    fn other_forms_mean_the_whole_file() {
        for header in [
            None,
            Some("bytes=1-2,4-5"),
            Some("lines=1-2"),
            Some("bytes=5-2"),
        ] {
            assert_eq!(wanted(header, 10), Wanted::Whole, "{header:?}");
        }
    }
}

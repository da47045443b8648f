//! "Did you mean".

/// The word that was meant, when one of them is close enough.
pub(crate) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = (written.chars().count() / 3).clamp(1, 3);
    let written = written.to_lowercase();
    known
        .into_iter()
        .map(|word| {
            (
                strsim::damerau_levenshtein(&written, &word.to_lowercase()),
                word,
            )
        })
        .filter(|(distance, word)| *distance <= limit && *distance < word.chars().count())
        .min()
        .map(|(_, word)| word)
}

/// `did you mean ...?`, when there is a near word.
pub(crate) fn did_you_mean<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(written, known).map(|word| format!("did you mean `{word}`?"))
}

/// `a`, `b` and `c`.
pub(crate) fn listed<W: AsRef<str>>(words: &[W]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [one] => format!("`{}`", one.as_ref()),
        [most @ .., last] => {
            let most: Vec<String> = most.iter().map(|w| format!("`{}`", w.as_ref())).collect();
            format!("{} and `{}`", most.join(", "), last.as_ref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_offered_and_a_far_one_is_not() {
        let known = ["intranet", "extranet", "lan"];
        assert_eq!(
            did_you_mean("intrant", known).as_deref(),
            Some("did you mean `intranet`?")
        );
        assert_eq!(
            did_you_mean("Memory", ["memory"]).as_deref(),
            Some("did you mean `memory`?")
        );
        assert_eq!(did_you_mean("x", ["y"]), None);
        assert_eq!(did_you_mean("printer", known), None);
    }
}

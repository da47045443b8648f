//! Options as getopt reads them: bundled letters, values joined or apart.

use super::answer::{Answer, Result};
use std::collections::BTreeMap;

/// Letters that were given, values by letter in order, and the operands.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) flags: Vec<char>,
    pub(super) values: BTreeMap<char, Vec<String>>,
    pub(super) operands: Vec<String>,
}

impl Options {
    /// Reads arguments. `spec` lists the letters; one followed by `:` takes a value. A letter that is not there is told
    /// with the usage of the verb.
    pub(super) fn read(verb: &str, spec: &str, args: &[String]) -> Result<Self> {
        let mut out = Self::default();
        let mut args = args.iter();
        let mut only_operands = false;
        while let Some(arg) = args.next() {
            if arg == "--json-int" && spec.contains('j') && !only_operands {
                out.flags.push('J');
                continue;
            }
            let letters = match arg.strip_prefix('-') {
                Some("-") => {
                    only_operands = true;
                    continue;
                }
                Some(letters) if !letters.is_empty() && !only_operands => letters,
                Some(_) | None => {
                    out.operands.push(arg.clone());
                    continue;
                }
            };
            for (at, letter) in letters.char_indices() {
                let place = spec.find(letter).filter(|_| letter != ':');
                let Some(place) = place else {
                    return Err(Answer::usage(verb, format!("invalid option '{letter}'")));
                };
                if spec[place + letter.len_utf8()..].starts_with(':') {
                    let rest = &letters[at + letter.len_utf8()..];
                    let value = if rest.is_empty() {
                        args.next().cloned()
                    } else {
                        Some(rest.to_owned())
                    };
                    let Some(value) = value else {
                        return Err(Answer::usage(
                            verb,
                            format!("missing argument for '{letter}' option"),
                        ));
                    };
                    out.values.entry(letter).or_default().push(value);
                    break;
                }
                out.flags.push(letter);
            }
        }
        Ok(out)
    }

    pub(super) fn has(&self, letter: char) -> bool {
        self.flags.contains(&letter)
    }

    /// The last value of a letter.
    pub(super) fn value(&self, letter: char) -> Option<&str> {
        self.values
            .get(&letter)
            .and_then(|values| values.last())
            .map(String::as_str)
    }
}

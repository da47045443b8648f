//! The line that a login shell would read -> what is to run, and as whom. Pure.

/// A command as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    /// Program and arguments, without what was put before them.
    pub(super) argv: Vec<String>,
    /// Asked for through `sudo`.
    pub(super) sudo: bool,
    /// Bytes of standard input that are the text of a script.
    pub(super) preamble: usize,
}

impl Request {
    /// Reads a line; none when it is more than a simple command.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let mut words = words(line)?;
        let mut sudo = false;
        loop {
            let first = words.first().map_or("", String::as_str);
            let skipped = match first {
                "exec" => 1,
                "env" => 1 + words[1..].iter().take_while(|w| w.contains('=')).count(),
                "sudo" if words.get(1..3)? == ["-n", "--"] => {
                    sudo = true;
                    3
                }
                "timeout" if words.get(1)? == "-k" => 4,
                _ => break,
            };
            words = words.get(skipped..)?.to_vec();
        }
        let preamble = match words.as_slice() {
            [sh, flag, text, ..] if sh == "sh" && flag == "-c" => fetched(text),
            _ => 0,
        };
        (!words.is_empty()).then_some(Self {
            argv: words,
            sudo,
            preamble,
        })
    }

    /// A script's name and its arguments.
    pub(super) fn script(&self) -> Option<(&str, &[String])> {
        match self.argv.as_slice() {
            [sh, flag, _, name, rest @ ..] if sh == "sh" && flag == "-c" => Some((name, rest)),
            _ => None,
        }
    }
}

/// `eval "$(head -c N)"`: a script too long for a line comes first on standard input.
fn fetched(text: &str) -> usize {
    text.strip_prefix("eval \"$(head -c ")
        .and_then(|rest| rest.strip_suffix(")\""))
        .and_then(|count| count.parse().ok())
        .unwrap_or(0)
}

/// Words of a simple command: plain characters, single quotes and backslashes.
fn words(line: &str) -> Option<Vec<String>> {
    let mut out = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' => out.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(rest.next()?),
            '$' | '`' | '"' | ';' | '|' | '&' | '<' | '>' | '(' | ')' | '\n' | '*' | '?' => {
                return None;
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    out.extend(word);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_before_a_command_is_taken_off() {
        let line = "exec env 'LC_ALL=C.UTF-8' sudo -n -- timeout -k 5 60 sh -c 'echo '\\''$1'\\''\nexit' infra-x 'a b'";
        let request = Request::parse(line).expect("a simple command");
        assert!(request.sudo);
        assert_eq!(
            request.argv,
            ["sh", "-c", "echo '$1'\nexit", "infra-x", "a b"]
        );
        assert_eq!(
            request.script(),
            Some(("infra-x", ["a b".to_owned()].as_slice()))
        );
        let long = Request::parse("timeout -k 5 60 sh -c 'eval \"$(head -c 123)\"' infra-y")
            .expect("simple");
        assert_eq!((long.preamble, long.sudo), (123, false));
    }

    #[test]
    fn anything_but_a_simple_command_is_not_understood() {
        for line in [
            "echo a; echo b",
            "cat <file",
            "echo $HOME",
            "a | b",
            "'open",
        ] {
            assert_eq!(Request::parse(line), None, "{line}");
        }
    }
}

//! What came back -> whether the owner's wish is true.

use crate::model::check::Probe;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr};

/// Whether a check holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Seen to be true.
    Passed,
    /// Seen to be false.
    Failed {
        /// What was seen instead.
        seen: String,
    },
    /// Nobody could ask.
    NotAsked {
        /// Why.
        why: String,
    },
    /// Who was to ask did not answer.
    Unanswered {
        /// Why.
        why: String,
    },
}

/// One check with its verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// The owner's words.
    pub name: String,
    /// Who asked.
    pub asked_by: String,
    /// Whether it holds.
    pub verdict: Verdict,
}

/// The facts of one check: key -> value, decoded.
pub(super) type Facts = BTreeMap<String, String>;

/// The script's whole answer by check number.
pub(super) fn parse(text: &str) -> BTreeMap<usize, Facts> {
    let mut out: BTreeMap<usize, Facts> = BTreeMap::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, '\t');
        let (Some(number), Some(key), Some(value)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let Ok(number) = number.parse() else { continue };
        let coded = matches!(
            key,
            "location"
                | "head"
                | "body"
                | "output"
                | "mounts"
                | "inside"
                | "outside"
                | "error"
                | "unasked"
        );
        let value = if coded {
            let bytes = STANDARD.decode(value).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        } else {
            value.to_owned()
        };
        out.entry(number).or_default().insert(key.to_owned(), value);
    }
    out
}

/// Judges one check by its facts.
pub(super) fn judge(probe: &Probe, facts: Option<&Facts>) -> Verdict {
    let Some(facts) = facts else {
        return Verdict::NotAsked {
            why: "the script gave no answer for it".to_owned(),
        };
    };
    let failed = |seen: String| Verdict::Failed { seen };
    if let Some(why) = facts.get("unasked") {
        return Verdict::NotAsked { why: why.clone() };
    }
    if let Some(error) = facts.get("error") {
        return failed(error.trim().to_owned());
    }
    let fact = |key: &str| facts.get(key).map(String::as_str);
    let missing = || Verdict::NotAsked {
        why: "the answer is incomplete".to_owned(),
    };
    match probe {
        Probe::Http {
            status,
            location,
            body,
            header,
            ..
        } => {
            let Some(seen) = fact("status") else {
                return missing();
            };
            if seen != status.to_string() {
                return failed(format!("status {seen}, not {status}"));
            }
            let target = fact("location").unwrap_or_default();
            if let Some(wanted) = location
                && !target.starts_with(wanted.as_str())
            {
                return failed(format!("redirects to `{target}`, not `{wanted}`"));
            }
            if let Some((name, wanted)) = header {
                let found = value_of(fact("head").unwrap_or_default(), name);
                match found {
                    None => return failed(format!("there is no header `{name}`")),
                    Some(value) if !value.contains(wanted.as_str()) => {
                        return failed(format!("the header `{name}` is `{value}`"));
                    }
                    Some(_) => {}
                }
            }
            if let Some(wanted) = body
                && !fact("body").unwrap_or_default().contains(wanted.as_str())
            {
                return failed(format!("the body does not contain `{wanted}`"));
            }
            Verdict::Passed
        }
        Probe::Tcp { open, .. } => match fact("open") {
            None => missing(),
            Some(seen) if (seen == "1") == *open => Verdict::Passed,
            Some("1") => failed("the port is open".to_owned()),
            Some(_) => failed("the port is closed".to_owned()),
        },
        Probe::Tls {
            days, only_tls13, ..
        } => {
            let number = |key: &str| fact(key).and_then(|text| text.parse::<i64>().ok());
            let (Some(expires), Some(now)) = (number("expires"), number("now")) else {
                return missing();
            };
            if *only_tls13 {
                match fact("older") {
                    None => return missing(),
                    Some("0") => {}
                    Some(_) => return failed("a TLS older than 1.3 is spoken".to_owned()),
                }
            }
            match (expires - now).div_euclid(86_400) {
                left if left >= i64::from(*days) => Verdict::Passed,
                left if left < 0 => failed("the certificate has expired".to_owned()),
                left => failed(format!("the certificate ends in {left} days")),
            }
        }
        Probe::Dns { address, .. } => match (fact("address"), address) {
            (None, _) => missing(),
            (Some(seen), Some(wanted)) if seen != wanted.to_string() => {
                failed(format!("resolves to {seen}, not {wanted}"))
            }
            (Some(_), _) => Verdict::Passed,
        },
        Probe::Exec { output, .. } => {
            let (Some(code), Some(text)) = (fact("exit"), fact("output")) else {
                return missing();
            };
            let last = text
                .lines()
                .rev()
                .find(|line| !line.trim().is_empty())
                .unwrap_or("");
            if code != "0" {
                return failed(format!("exit {code}: {last}"));
            }
            match output {
                Some(wanted) if !text.contains(wanted.as_str()) => {
                    failed(format!("the output does not contain `{wanted}`: {last}"))
                }
                Some(_) | None => Verdict::Passed,
            }
        }
        Probe::Exit { .. } => {
            let address = |key: &str| {
                fact(key)
                    .map(str::trim)
                    .unwrap_or_default()
                    .parse::<IpAddr>()
            };
            match (address("inside"), address("outside")) {
                (_, Err(_)) => Verdict::NotAsked {
                    why: "the host itself was not told its address".to_owned(),
                },
                (Err(_), Ok(_)) => failed("the container was told no address".to_owned()),
                (Ok(inside), Ok(outside)) if inside == outside => {
                    failed(format!("it leaves as {inside}, like its host"))
                }
                (Ok(_), Ok(_)) => Verdict::Passed,
            }
        }
        Probe::Mount {
            at,
            fstypes,
            present,
            ..
        } => {
            let Some(mounts) = fact("mounts").filter(|text| !text.trim().is_empty()) else {
                return missing();
            };
            let found = mounts.lines().find(|line| {
                let (target, fstype) = line.rsplit_once(' ').unwrap_or((line, ""));
                at.as_ref().is_none_or(|at| at == target)
                    && (fstypes.is_empty() || fstypes.iter().any(|wanted| wanted == fstype))
            });
            match (found, present) {
                (Some(_), true) | (None, false) => Verdict::Passed,
                (Some(line), false) => failed(format!("`{line}` is mounted")),
                (None, true) => failed("it is not mounted".to_owned()),
            }
        }
    }
}

/// The value of a header, in what curl dumped.
fn value_of<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(own, _)| own.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(status: u16) -> Probe {
        Probe::Http {
            url: "https://x.home.arpa/".to_owned(),
            connect: None,
            status,
            location: Some("https://login".to_owned()),
            body: None,
            header: None,
            self_signed: true,
        }
    }

    #[test]
    fn a_header_must_be_there_and_say_what_was_wished() {
        let probe = |name: &str, value: &str| Probe::Http {
            url: "https://x.home.arpa/".to_owned(),
            connect: None,
            status: 200,
            location: None,
            body: None,
            header: Some((name.to_owned(), value.to_owned())),
            self_signed: true,
        };
        let head =
            STANDARD.encode("HTTP/2 200\r\nstrict-transport-security: max-age=31536000\r\n\r\n");
        let facts = parse(&format!("0\tstatus\t200\n0\thead\t{head}\n0\tbody\t\n"));
        let verdict = |name: &str, value: &str| judge(&probe(name, value), facts.get(&0));
        assert_eq!(
            verdict("Strict-Transport-Security", "max-age="),
            Verdict::Passed
        );
        for (name, value) in [
            ("Strict-Transport-Security", "preload"),
            ("X-Frame-Options", ""),
        ] {
            assert!(
                matches!(verdict(name, value), Verdict::Failed { .. }),
                "{name}"
            );
        }
    }

    #[test]
    fn a_certificate_has_days_left() {
        let tls = Probe::Tls {
            name: "x.home.arpa".to_owned(),
            connect: None,
            port: 443,
            days: 14,
            only_tls13: false,
        };
        let left = |days: i64| {
            let facts = parse(&format!(
                "0\texpires\t{}\n0\tnow\t1000000\n",
                1_000_000 + days * 86_400
            ));
            judge(&tls, facts.get(&0))
        };
        assert_eq!(left(14), Verdict::Passed);
        let ends = Verdict::Failed {
            seen: "the certificate ends in 3 days".to_owned(),
        };
        assert_eq!(left(3), ends);
        let gone = Verdict::Failed {
            seen: "the certificate has expired".to_owned(),
        };
        assert_eq!(left(-2), gone);
    }

    #[test]
    fn an_answer_is_judged_by_what_was_wished() {
        let text = format!(
            "0\tstatus\t302\n0\tlocation\t{}\n0\tbody\t\n",
            STANDARD.encode("https://login/?x")
        );
        let facts = parse(&text);
        assert_eq!(judge(&http(302), facts.get(&0)), Verdict::Passed);
        let other = judge(&http(200), facts.get(&0));
        assert_eq!(
            other,
            Verdict::Failed {
                seen: "status 302, not 200".to_owned()
            }
        );
    }

    #[test]
    fn silence_is_not_a_pass() {
        let closed = Probe::Tcp {
            address: [10, 0, 0, 1].into(),
            port: 5432,
            open: false,
        };
        assert!(matches!(judge(&closed, None), Verdict::NotAsked { .. }));
        assert!(matches!(
            judge(&closed, Some(&Facts::new())),
            Verdict::NotAsked { .. }
        ));
        let nothing_mounted = Probe::Mount {
            host: crate::model::ids::HostName::new("a").expect("valid"),
            at: None,
            fstypes: vec!["zfs".to_owned()],
            present: false,
        };
        let empty = parse("0\tmounts\t\n");
        assert!(matches!(
            judge(&nothing_mounted, empty.get(&0)),
            Verdict::NotAsked { .. }
        ));
    }
}

//! Single words with a meaning that `model` has no type for.

use crate::model::image::Checksum;
use ipnet::IpNet;
use std::{net::IpAddr, str::FromStr};

/// Why a text does not mean what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}")]
pub(crate) struct NotA {
    text: String,
    what: &'static str,
}

fn not(text: &str, what: &'static str) -> NotA {
    NotA {
        text: text.to_owned(),
        what,
    }
}

/// A network in normal form: no host bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network(pub(crate) IpNet);

impl FromStr for Network {
    type Err = NotA;
    fn from_str(text: &str) -> Result<Self, NotA> {
        let net: IpNet = text
            .parse()
            .map_err(|_| not(text, "a network such as `192.168.1.0/24`"))?;
        if net.trunc() == net {
            Ok(Self(net))
        } else {
            Err(not(
                text,
                "a network: it has host bits, write the first address of the network",
            ))
        }
    }
}

/// A single address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address(pub(crate) IpAddr);

impl FromStr for Address {
    type Err = NotA;
    fn from_str(text: &str) -> Result<Self, NotA> {
        text.parse()
            .map(Self)
            .map_err(|_| not(text, "an address such as `192.168.1.20`"))
    }
}

/// An address of a card, with or without its prefix length.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CardAddress {
    /// Address.
    pub(crate) address: IpAddr,
    /// Prefix length, when written.
    pub(crate) prefix: Option<u8>,
}

impl FromStr for CardAddress {
    type Err = NotA;
    fn from_str(text: &str) -> Result<Self, NotA> {
        if let Ok(net) = text.parse::<IpNet>() {
            return Ok(Self {
                address: net.addr(),
                prefix: Some(net.prefix_len()),
            });
        }
        text.parse()
            .map(|address| Self {
                address,
                prefix: None,
            })
            .map_err(|_| {
                not(
                    text,
                    "an address such as `192.168.1.20` or `192.168.1.20/24`",
                )
            })
    }
}

/// Permission bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mode(pub(crate) u32);

impl FromStr for Mode {
    type Err = NotA;
    fn from_str(text: &str) -> Result<Self, NotA> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        u32::from_str_radix(digits, 8)
            .ok()
            .filter(|mode| (3..=5).contains(&digits.len()) && *mode <= 0o7777)
            .map(Self)
            .ok_or_else(|| not(text, "permission bits such as `0755`"))
    }
}

/// A numeric owner and group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner(pub(crate) u32, pub(crate) u32);

impl FromStr for Owner {
    type Err = NotA;
    fn from_str(text: &str) -> Result<Self, NotA> {
        text.split_once(':')
            .and_then(|(user, group)| Some(Self(user.parse().ok()?, group.parse().ok()?)))
            .ok_or_else(|| not(text, "a numeric owner such as `1000:1000`"))
    }
}

/// A duration in whole seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seconds(pub(crate) u32);

impl FromStr for Seconds {
    type Err = NotA;
    fn from_str(text: &str) -> Result<Self, NotA> {
        let split = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let factor = match &text[split..] {
            "s" | "" => Some(1),
            "m" => Some(60),
            "h" => Some(3600),
            _ => None,
        };
        factor
            .zip(text[..split].parse::<u32>().ok())
            .and_then(|(factor, number)| number.checked_mul(factor))
            .map(Self)
            .ok_or_else(|| not(text, "a duration such as `30s`, `3m` or `1h`"))
    }
}

/// A calendar day.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Day(pub(crate) jiff::civil::Date);

impl FromStr for Day {
    type Err = NotA;
    fn from_str(text: &str) -> Result<Self, NotA> {
        text.parse()
            .map(Self)
            .map_err(|_| not(text, "a date such as `2027-01-31`"))
    }
}

/// The SHA-256 of a certificate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fingerprint(pub(crate) [u8; 32]);

impl FromStr for Fingerprint {
    type Err = NotA;
    fn from_str(text: &str) -> Result<Self, NotA> {
        let digits: Vec<char> = text.chars().filter(|c| *c != ':').collect();
        let mut bytes = [0; 32];
        let fits = digits.len() == 64
            && bytes.iter_mut().zip(digits.chunks(2)).all(|(byte, pair)| {
                let pair: String = pair.iter().collect();
                u8::from_str_radix(&pair, 16).map(|n| *byte = n).is_ok()
            });
        if fits {
            Ok(Self(bytes))
        } else {
            Err(not(
                text,
                "a SHA-256 fingerprint: 32 bytes in hex, as `pvenode cert info` prints it",
            ))
        }
    }
}

/// Reads a fingerprint that was typed elsewhere than in a file.
///
/// # Errors
/// What is wrong with it, in one sentence.
pub fn fingerprint(text: &str) -> Result<[u8; 32], String> {
    let Fingerprint(bytes) = text.parse().map_err(|error: NotA| error.to_string())?;
    Ok(bytes)
}

/// A checksum with its algorithm.
#[derive(Debug, Clone)]
pub(crate) struct Sum(pub(crate) Checksum);

impl FromStr for Sum {
    type Err = NotA;
    fn from_str(text: &str) -> Result<Self, NotA> {
        let wrong = |what| Err(not(text, what));
        let Some((algorithm, hex)) = text.split_once(':') else {
            return wrong("a checksum: write `sha512:` or `sha256:` and the hex digits");
        };
        let length = match algorithm {
            "sha256" => 64,
            "sha512" => 128,
            _ => return wrong("a checksum that can be trusted: use `sha512:` or `sha256:`"),
        };
        if hex.len() != length || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return wrong(if length == 64 {
                "a sha256 checksum: it has 64 hex digits"
            } else {
                "a sha512 checksum: it has 128 hex digits"
            });
        }
        Ok(Self(Checksum {
            algorithm: algorithm.to_owned(),
            hex: hex.to_ascii_lowercase(),
        }))
    }
}

/// An absolute path without `..` and without a trailing slash.
#[derive(Debug, Clone)]
pub(crate) struct AbsolutePath(pub(crate) String);

impl FromStr for AbsolutePath {
    type Err = NotA;
    fn from_str(text: &str) -> Result<Self, NotA> {
        let clean = text.starts_with('/')
            && text.len() > 1
            && !text.contains(['\n', '\0'])
            && text[1..]
                .split('/')
                .all(|part| !matches!(part, "" | "." | ".."));
        if clean {
            Ok(Self(text.to_owned()))
        } else {
            Err(not(text, "an absolute path such as `/mnt/tank/media`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_they_say() {
        assert_eq!("0755".parse::<Mode>().expect("valid").0, 0o755);
        assert_eq!("3m".parse::<Seconds>().expect("valid").0, 180);
        assert!("3 minutes".parse::<Seconds>().is_err());
        assert!("192.168.1.1/24".parse::<Network>().is_err());
        assert!("/mnt/../etc".parse::<AbsolutePath>().is_err());
        assert!("md5:abc".parse::<Sum>().is_err());
        assert!(":".repeat(3).parse::<Fingerprint>().is_err());
        assert_eq!(
            "AB:"
                .repeat(32)
                .trim_end_matches(':')
                .parse::<Fingerprint>()
                .expect("valid")
                .0,
            [0xab; 32]
        );
        assert!("ééé".parse::<Fingerprint>().is_err());
    }
}

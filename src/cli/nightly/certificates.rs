//! Certificates that end soon: those among the secrets, and those behind the system's own checks.

use super::{jobs::Came, outcome::Gauge};
use crate::cli::{exit, failure::Failure, session::Session, verify};
use crate::model::{
    check::{Check, Probe},
    secret::SecretValues,
};
use crate::verify::Verdict;
use crate::view::words::count;
use std::time::Duration;
use x509_parser::pem::Pem;

/// What is renewed by itself has more days left than this.
const DAYS: i64 = 14;
const DAY: i64 = 86_400;

/// A certificate of the inventory's secrets.
struct Found {
    secret: String,
    subject: String,
    ends: i64,
}

/// Looks at both.
pub(super) async fn look(session: &Session) -> Result<Came, Failure> {
    let now = jiff::Timestamp::now().as_second();
    let found = among(&session.world.secrets);
    let mut came = judged(&found, now);
    let checks: Vec<Check> = session
        .desired
        .checks
        .iter()
        .filter(|check| matches!(check.probe, Probe::Tls { .. }))
        .cloned()
        .collect();
    for result in verify::asked(session, &checks, Duration::ZERO).await? {
        if let Verdict::Failed { seen } = result.verdict {
            came.code = exit::CHECK_FAILED;
            came.lines.push(format!("{}: {seen}", result.name));
        }
    }
    Ok(came)
}

fn judged(found: &[Found], now: i64) -> Came {
    let mut came = Came::default();
    for one in found {
        let left = (one.ends - now).div_euclid(DAY);
        came.gauges.push(Gauge {
            name: "certificate_end_timestamp_seconds".to_owned(),
            help: "When a certificate among the secrets ends.".to_owned(),
            labels: vec![
                ("secret".to_owned(), one.secret.clone()),
                ("subject".to_owned(), one.subject.clone()),
            ],
            value: one.ends,
        });
        if left < DAYS {
            came.code = exit::CHECK_FAILED;
            let when = if left < 0 {
                "has ended".to_owned()
            } else {
                format!(
                    "ends in {}",
                    count(usize::try_from(left).unwrap_or(0), "day", "days")
                )
            };
            came.lines.push(format!(
                "secret {}: the certificate {} {when}",
                one.secret, one.subject
            ));
        }
    }
    if came.lines.is_empty() {
        came.lines.push(format!(
            "{} among the secrets, none ends within {DAYS} days",
            count(found.len(), "certificate", "certificates")
        ));
    }
    came
}

/// The certificates among the values. A certificate is public; its key is not looked at.
fn among(secrets: &SecretValues) -> Vec<Found> {
    let mut out = Vec::new();
    for name in secrets.names() {
        let Some(text) = secrets.expose(name) else {
            continue;
        };
        if !text.contains("-----BEGIN CERTIFICATE-----") {
            continue;
        }
        let blocks = Pem::iter_from_buffer(text.as_bytes()).filter_map(Result::ok);
        for block in blocks.filter(|block| block.label == "CERTIFICATE") {
            if let Ok(certificate) = block.parse_x509() {
                out.push(Found {
                    secret: name.to_string(),
                    subject: certificate.subject().to_string(),
                    ends: certificate.validity().not_after.timestamp(),
                });
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::SecretName;
    use secrecy::SecretString;

    #[test]
    fn a_certificate_that_ends_soon_is_named_and_its_key_is_not_looked_at() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut parameters =
            rcgen::CertificateParams::new(vec!["home.arpa".to_owned()]).expect("valid");
        parameters.not_after = rcgen::date_time_ymd(2027, 1, 31);
        let certificate = parameters.self_signed(&key).expect("signed");
        let mut secrets = SecretValues::default();
        let both = format!("{}{}", certificate.pem(), key.serialize_pem());
        for (name, value) in [("proxy_cert", both), ("password", "hunter2".to_owned())] {
            let name = SecretName::new(name).expect("valid");
            secrets.insert(name, SecretString::from(value));
        }
        let found = among(&secrets);
        assert_eq!(found.len(), 1);
        let end = found[0].ends;
        let fine = judged(&found, end - 30 * DAY);
        assert_eq!((fine.code, fine.gauges[0].value), (exit::DONE, end));
        let soon = judged(&found, end - 3 * DAY);
        assert_eq!(soon.code, exit::CHECK_FAILED);
        assert!(
            soon.lines[0].contains("secret proxy_cert"),
            "{:?}",
            soon.lines
        );
        assert!(soon.lines[0].contains("ends in 3 days"), "{:?}", soon.lines);
        assert!(judged(&found, end + DAY).lines[0].contains("has ended"));
    }
}

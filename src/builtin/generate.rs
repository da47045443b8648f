//! Secrets that nobody needs to choose.

use super::{
    BuiltinError, certificate,
    recipe::{self, Kind},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use jiff::civil::Date;
use rand::{Rng as _, RngCore as _, distributions::Alphanumeric, rngs::OsRng};
use std::{collections::BTreeMap, fmt::Write as _};

/// 32 letters and digits: 190 bits, and no character that any configuration file would want quoted.
const PASSWORD_LENGTH: usize = 32;
/// OpenVPN's static keys have 2048 bits, sixteen lines of sixteen bytes.
const STATIC_KEY_LINES: usize = 16;

/// What was generated for a system.
#[derive(Default)]
pub struct Generated {
    /// Secrets by name.
    pub secrets: BTreeMap<String, String>,
    /// Public files by name, for example a CA's certificate to install on devices.
    pub public: BTreeMap<String, String>,
}

/// Makes every secret of a system that is not among `known`. `today` is the first day of its certificates.
///
/// # Errors
/// [`BuiltinError::Certificate`].
pub fn generate(
    system: &str,
    known: &BTreeMap<String, String>,
    today: Date,
) -> Result<Generated, BuiltinError> {
    let mut out = Generated::default();
    for (name, kind) in recipe::of(system) {
        if names(&name, &kind)
            .iter()
            .all(|name| known.contains_key(name))
        {
            continue;
        }
        match kind {
            Kind::Password => {
                out.secrets.insert(name, password());
            }
            Kind::Login => {
                let password = password();
                let hash = argon2id(&password).ok_or(BuiltinError::Hash)?;
                out.secrets.insert(format!("{name}_hash"), hash);
                out.secrets.insert(name, password);
            }
            Kind::Uuid => {
                out.secrets.insert(name, uuid());
            }
            Kind::Wireguard => {
                out.secrets.insert(name, wireguard_key());
            }
            Kind::Owner(_) => {}
            Kind::Tls(hosts) => {
                let made = certificate::server(&name, &hosts, today)?;
                out.public
                    .insert(format!("{name}-ca.pem"), made.ca_cert.clone());
                let chain = format!("{}{}", made.cert, made.ca_cert);
                out.secrets.insert(format!("{name}_cert"), chain);
                out.secrets.insert(format!("{name}_key"), made.key);
            }
            Kind::Openvpn => {
                let made = certificate::server(&name, std::slice::from_ref(&name), today)?;
                out.secrets.insert(format!("{name}_ca"), made.ca_cert);
                out.secrets.insert(format!("{name}_ca_key"), made.ca_key);
                out.secrets.insert(format!("{name}_cert"), made.cert);
                out.secrets.insert(format!("{name}_key"), made.key);
                out.secrets
                    .insert(format!("{name}_tls_crypt"), static_key());
            }
        }
    }
    Ok(out)
}

/// What only the owner has, each with where it is found.
pub fn owners(system: &str) -> BTreeMap<String, String> {
    recipe::of(system)
        .into_iter()
        .filter_map(|(name, kind)| match kind {
            Kind::Owner(place) => Some((name, place)),
            Kind::Password
            | Kind::Login
            | Kind::Uuid
            | Kind::Wireguard
            | Kind::Tls(_)
            | Kind::Openvpn => None,
        })
        .collect()
}

/// The names that a recipe's entry makes.
fn names(name: &str, kind: &Kind) -> Vec<String> {
    let ends: &[&str] = match kind {
        Kind::Password | Kind::Uuid | Kind::Wireguard | Kind::Owner(_) => {
            return vec![name.to_owned()];
        }
        Kind::Login => return vec![name.to_owned(), format!("{name}_hash")],
        Kind::Tls(_) => &["cert", "key"],
        Kind::Openvpn => &["ca", "ca_key", "cert", "key", "tls_crypt"],
    };
    ends.iter().map(|end| format!("{name}_{end}")).collect()
}

fn password() -> String {
    OsRng
        .sample_iter(Alphanumeric)
        .take(PASSWORD_LENGTH)
        .map(char::from)
        .collect()
}

/// In the crypt format, with the costs that Authelia takes unless told otherwise.
fn argon2id(password: &str) -> Option<String> {
    const MEMORY_KIB: u32 = 65536;
    const ROUNDS: u32 = 3;
    const LANES: u32 = 4;
    let params = argon2::Params::new(MEMORY_KIB, ROUNDS, LANES, None).ok()?;
    let hasher = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let (mut salt, mut hash) = ([0; 16], [0; 32]);
    OsRng.fill_bytes(&mut salt);
    hasher
        .hash_password_into(password.as_bytes(), &salt, &mut hash)
        .ok()?;
    Some(format!(
        "$argon2id$v=19$m={MEMORY_KIB},t={ROUNDS},p={LANES}${}${}",
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(hash)
    ))
}

/// Curve25519 (RFC 7748) wants three bits of a private key so.
fn wireguard_key() -> String {
    let mut bytes = [0; 32];
    OsRng.fill_bytes(&mut bytes);
    bytes[0] &= 0xf8;
    bytes[31] = bytes[31] & 0x7f | 0x40;
    STANDARD.encode(bytes)
}

/// Version 4, RFC 9562.
fn uuid() -> String {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut out = hex(&bytes);
    for at in [20, 16, 12, 8] {
        out.insert(at, '-');
    }
    out
}

/// The format of `openvpn --genkey secret` (seen with OpenVPN 2.6).
fn static_key() -> String {
    let mut out = String::from("-----BEGIN OpenVPN Static key V1-----\n");
    for _ in 0..STATIC_KEY_LINES {
        let mut bytes = [0; 16];
        OsRng.fill_bytes(&mut bytes);
        out.push_str(&hex(&bytes));
        out.push('\n');
    }
    out.push_str("-----END OpenVPN Static key V1-----\n");
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Date = jiff::civil::date(2026, 11, 20);

    #[test]
    fn what_is_known_is_not_made_again() {
        let all = generate("media-server-home", &BTreeMap::new(), TODAY).expect("generates");
        assert_eq!(
            all.secrets.keys().map(String::as_str).collect::<Vec<_>>(),
            [
                "grafana_admin_password",
                "immich_db_password",
                "openvpn_ca",
                "openvpn_ca_key",
                "openvpn_cert",
                "openvpn_key",
                "openvpn_tls_crypt",
                "proxy_cert",
                "proxy_key",
                "restic_password",
            ]
        );
        assert_eq!(all.public.keys().collect::<Vec<_>>(), ["proxy-ca.pem"]);
        let again = generate("media-server-home", &all.secrets, TODAY).expect("generates");
        assert!(again.secrets.is_empty() && again.public.is_empty());
        let mut known = all.secrets.clone();
        known.remove("restic_password");
        let one = generate("media-server-home", &known, TODAY).expect("generates");
        assert_eq!(one.secrets.keys().collect::<Vec<_>>(), ["restic_password"]);
    }

    #[test]
    fn shapes_are_those_that_programs_read() {
        let key = static_key();
        assert_eq!(key.lines().count(), 18);
        assert!(key.lines().nth(1).is_some_and(|line| line.len() == 32));
        let uuid = uuid();
        assert_eq!((uuid.len(), uuid.as_bytes()[14]), (36, b'4'));
        assert_eq!(password().len(), PASSWORD_LENGTH);
        let hash = argon2id("secret").expect("hashes");
        assert!(
            hash.starts_with("$argon2id$v=19$m=65536,t=3,p=4$"),
            "{hash}"
        );
        assert_eq!(
            hash.split('$').map(str::len).skip(4).collect::<Vec<_>>(),
            [22, 43]
        );
        assert_ne!(password(), password());
    }
}

//! SOPS files with age recipients, read without the `sops` program.
//!
//! As written by sops 3.5 to 3.8: every leaf is `ENC[AES256_GCM,data:...,iv:...,tag:...,type:...]`, encrypted with a data key that
//! is itself encrypted for each recipient. The additional data of a leaf is its path with a colon after each key; list items
//! have the path of their list. The MAC is the SHA-512 of all plain leaves in their order, encrypted with `lastmodified` as
//! additional data.

use super::identity::Identities;
use aes_gcm::{
    AesGcm, KeyInit as _,
    aead::{Aead as _, Payload, consts::U32},
    aes::Aes256,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use sha2::{Digest as _, Sha512};
use std::fmt::Write as _;
use std::{collections::BTreeMap, io::Read as _};
use zeroize::Zeroizing;

/// The key under which SOPS keeps its own data.
const METADATA: &str = "sops";
const PREFIX: &str = "ENC[AES256_GCM,";

/// SOPS takes nonces of 32 bytes.
type Cipher = AesGcm<Aes256, U32>;

/// Decrypts a file to dotted path -> value, once its MAC is verified. List items are numbered from 0.
///
/// # Errors
/// Why, in words that hold no value.
pub(super) fn decrypt(
    bytes: &[u8],
    identities: &Identities,
) -> Result<BTreeMap<String, String>, String> {
    if identities.is_empty() {
        return Err(format!("there is no age key in {}", identities.looked()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
    let document: Value =
        serde_saphyr::from_str(text).map_err(|_| "it is not a YAML document".to_owned())?;
    let metadata = document
        .get(METADATA)
        .ok_or("it is not a SOPS file: it has no key `sops`")?;
    if metadata.get("mac_only_encrypted").and_then(Value::as_bool) == Some(true) {
        return Err("it has `mac_only_encrypted`, whose MAC is not checked here".to_owned());
    }
    if metadata
        .get("shamir_threshold")
        .is_some_and(|value| value.as_u64() != Some(0))
    {
        return Err("its key is split over several groups (`shamir_threshold`)".to_owned());
    }
    let cipher = cipher(metadata, identities)?;
    let mut leaves = Leaves {
        cipher: &cipher,
        mac: Sha512::new(),
        out: BTreeMap::new(),
    };
    for (key, value) in document.as_object().into_iter().flatten() {
        if key != METADATA {
            leaves.walk(&format!("{key}:"), key, value)?;
        }
    }
    verify(metadata, &cipher, leaves.mac)?;
    Ok(leaves.out)
}

/// The data key, from the first recipient that one of the identities is.
fn cipher(metadata: &Value, identities: &Identities) -> Result<Cipher, String> {
    let recipients = metadata.get("age").and_then(Value::as_array);
    let recipients = recipients
        .filter(|list| !list.is_empty())
        .ok_or("it has no age recipient")?;
    for recipient in recipients {
        let Some(sealed) = recipient.get("enc").and_then(Value::as_str) else {
            continue;
        };
        let armored = age::armor::ArmoredReader::new(sealed.as_bytes());
        let opened =
            age::Decryptor::new(armored).and_then(|decryptor| decryptor.decrypt(identities.keys()));
        let Ok(mut reader) = opened else { continue };
        let mut key = Zeroizing::new(Vec::new());
        reader
            .read_to_end(&mut key)
            .map_err(|error| error.to_string())?;
        return Cipher::new_from_slice(&key)
            .map_err(|_| "its data key has a wrong length".to_owned());
    }
    Err(format!(
        "none of the age keys in {} opens it",
        identities.looked()
    ))
}

fn verify(metadata: &Value, cipher: &Cipher, seen: Sha512) -> Result<(), String> {
    let text = |key: &str| metadata.get(key).and_then(Value::as_str);
    let sealed = text("mac").ok_or("it has no MAC")?;
    let modified = text("lastmodified").ok_or("it has no `lastmodified`")?;
    let mac = open(cipher, sealed, modified).ok_or("its MAC cannot be decrypted")?;
    let mut hex = String::new();
    for byte in seen.finalize() {
        // Writing into a String does not fail.
        let _ = write!(hex, "{byte:02X}");
    }
    let seen = hex;
    if mac.as_slice() == seen.as_bytes() {
        Ok(())
    } else {
        Err("its MAC does not match: it was changed without `sops`".to_owned())
    }
}

struct Leaves<'a> {
    cipher: &'a Cipher,
    mac: Sha512,
    out: BTreeMap<String, String>,
}

impl Leaves<'_> {
    fn walk(&mut self, path: &str, name: &str, value: &Value) -> Result<(), String> {
        match value {
            Value::Object(entries) => {
                for (key, value) in entries {
                    self.walk(&format!("{path}{key}:"), &format!("{name}.{key}"), value)?;
                }
            }
            Value::Array(items) => {
                for (number, value) in items.iter().enumerate() {
                    self.walk(path, &format!("{name}.{number}"), value)?;
                }
            }
            Value::String(text) if text.starts_with(PREFIX) => {
                let plain = open(self.cipher, text, path)
                    .ok_or_else(|| format!("the value of `{name}` cannot be decrypted"))?;
                self.mac.update(&plain);
                let text = String::from_utf8(plain.to_vec())
                    .map_err(|_| format!("the value of `{name}` is not text"))?;
                self.out.insert(name.to_owned(), text);
            }
            Value::String(_) | Value::Number(_) | Value::Bool(_) => {
                let plain = plain(value);
                self.mac.update(plain.as_bytes());
                self.out.insert(name.to_owned(), plain);
            }
            Value::Null => {}
        }
        Ok(())
    }
}

/// What SOPS hashes for a leaf that it left alone; booleans are Go's with a capital.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// Opens `ENC[AES256_GCM,data:...,iv:...,tag:...,type:...]`.
fn open(cipher: &Cipher, sealed: &str, additional: &str) -> Option<Zeroizing<Vec<u8>>> {
    let inner = sealed.strip_prefix(PREFIX)?.strip_suffix(']')?;
    let part = |name: &str| {
        let text = inner
            .split(',')
            .find_map(|part| part.strip_prefix(name)?.strip_prefix(':'))?;
        STANDARD.decode(text).ok()
    };
    let (mut data, nonce, tag) = (part("data")?, part("iv")?, part("tag")?);
    let nonce: [u8; 32] = nonce.try_into().ok()?;
    data.extend(tag);
    let payload = Payload {
        msg: &data,
        aad: additional.as_bytes(),
    };
    cipher
        .decrypt(&nonce.into(), payload)
        .ok()
        .map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    /// Written by a script that shares nothing with this file (Python, `cryptography` and `pyrage`), by the same rules.
    const EXAMPLE: &str = include_str!("../../tests/secrets/example.sops.yaml");

    fn identities() -> Identities {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/secrets/age.txt");
        Identities::read(&[file])
    }

    #[test]
    fn every_kind_of_leaf_is_read() {
        let map = decrypt(EXAMPLE.as_bytes(), &identities()).expect("opens");
        let expected = [
            ("flag_unencrypted", "True"),
            ("grafana.admin", "correct horse: \"battery\" #1"),
            ("grafana.port", "3000"),
            ("grafana.public", "True"),
            ("keys.0", "first\nline two"),
            ("keys.1", "zweite Zeile: Größe"),
            ("note_unencrypted", "shown to everybody"),
            ("proxmox_token", "0d5c6a4e-not-a-real-token"),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(map, BTreeMap::from(expected));
    }

    #[test]
    fn a_file_that_was_changed_is_refused_without_its_values() {
        let refused = |text: &str| decrypt(text.as_bytes(), &identities()).expect_err("refuses");
        let added = format!("another: line\n{EXAMPLE}");
        assert!(
            refused(&added).contains("MAC does not match"),
            "{}",
            refused(&added)
        );
        let shown = EXAMPLE.replace("shown to everybody", "shown to nobody");
        assert!(refused(&shown).contains("MAC does not match"));
        let moved = EXAMPLE.replace("proxmox_token:", "proxmox_tokem:");
        assert_eq!(
            refused(&moved),
            "the value of `proxmox_tokem` cannot be decrypted"
        );
        let undated = EXAMPLE.replace("2026-11-20", "2026-11-21");
        assert_eq!(refused(&undated), "its MAC cannot be decrypted");
        assert!(refused("a: 1\n").contains("no key `sops`"));
        let nobody = decrypt(EXAMPLE.as_bytes(), &Identities::read(&[])).expect_err("refuses");
        assert!(nobody.contains("no age key"), "{nobody}");
    }
}

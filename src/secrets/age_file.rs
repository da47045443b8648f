//! A YAML map of secrets, encrypted with age.

use super::identity::Identities;
use std::{collections::BTreeMap, io::Read as _};

/// Decrypts a map; armored and binary files alike.
///
/// # Errors
/// Why, in words that hold no value.
pub fn decrypt(bytes: &[u8], identities: &Identities) -> Result<BTreeMap<String, String>, String> {
    if identities.is_empty() {
        return Err(format!("there is no age key in {}", identities.looked()));
    }
    let armored = age::armor::ArmoredReader::new(bytes);
    let decryptor = age::Decryptor::new(armored).map_err(|error| error.to_string())?;
    let mut reader = decryptor.decrypt(identities.keys()).map_err(|error| {
        if matches!(error, age::DecryptError::NoMatchingKeys) {
            format!("none of the age keys in {} opens it", identities.looked())
        } else {
            error.to_string()
        }
    })?;
    let mut text = String::new();
    reader
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    // The parser's own message would quote the text, and the text is secrets.
    serde_saphyr::from_str(&text)
        .map_err(|_| "it does not hold a YAML map of names to texts".to_owned())
}

/// Encrypts a map for a public key, armored.
///
/// # Errors
/// When the key is none, or the library refuses.
pub fn encrypt(map: &BTreeMap<String, String>, public_key: &str) -> Result<String, String> {
    let recipient: age::x25519::Recipient = public_key.parse().map_err(str::to_owned)?;
    let text = serde_saphyr::to_string(map).map_err(|error| error.to_string())?;
    age::encrypt_and_armor(&recipient, text.as_bytes()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::generate_identity;

    #[test]
    fn what_was_encrypted_opens_with_its_key_only() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (mine, other) = (folder.path().join("mine"), folder.path().join("other"));
        let public = generate_identity(&mine).expect("a key");
        assert_eq!(generate_identity(&mine).expect("the same key"), public);
        generate_identity(&other).expect("another key");
        let map = BTreeMap::from([("a".to_owned(), "line\nline: \"two\" #3".to_owned())]);
        let text = encrypt(&map, &public).expect("encrypts");
        assert!(!text.contains("two"));
        assert_eq!(
            decrypt(text.as_bytes(), &Identities::read(&[mine])),
            Ok(map)
        );
        let refused = decrypt(text.as_bytes(), &Identities::read(&[other])).expect_err("refuses");
        assert!(refused.contains("none of the age keys"), "{refused}");
        let nobody = decrypt(text.as_bytes(), &Identities::read(&[])).expect_err("refuses");
        assert!(nobody.contains("no age key"), "{nobody}");
    }
}

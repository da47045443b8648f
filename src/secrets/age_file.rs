//! A YAML map of secrets, encrypted with age.

use super::identity::Identities;
use age::x25519::Recipient;
use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
};

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

/// Encrypts a map for public keys, armored.
///
/// # Errors
/// When one is no key, there is none, or the library refuses.
pub fn encrypt(map: &BTreeMap<String, String>, public_keys: &[String]) -> Result<String, String> {
    let mut recipients: Vec<Recipient> = Vec::new();
    for key in public_keys {
        recipients.push(key.parse().map_err(|why| format!("{key}: {why}"))?);
    }
    let text = print(map)?;
    let all = recipients.iter().map(|one| one as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(all).map_err(|error| error.to_string())?;
    let mut out = Vec::new();
    let armor = age::armor::ArmoredWriter::wrap_output(&mut out, age::armor::Format::AsciiArmor)
        .map_err(|error| error.to_string())?;
    let mut writer = encryptor
        .wrap_output(armor)
        .map_err(|error| error.to_string())?;
    writer
        .write_all(text.as_bytes())
        .and_then(|()| writer.finish())
        .and_then(age::armor::ArmoredWriter::finish)
        .map_err(|error| error.to_string())?;
    String::from_utf8(out).map_err(|_| "the armor is not text".to_owned())
}

/// The map as the YAML text that is encrypted.
///
/// # Errors
/// When the library refuses.
pub fn print(map: &BTreeMap<String, String>) -> Result<String, String> {
    serde_saphyr::to_string(map).map_err(|error| error.to_string())
}

/// Reads that text; nothing in it is an empty map.
///
/// # Errors
/// The line where it is no map of names to texts, and nothing of what stands there.
pub fn read(text: &str) -> Result<BTreeMap<String, String>, String> {
    let found: Option<BTreeMap<String, String>> =
        serde_saphyr::from_str(text).map_err(|error| {
            error.location().map_or_else(
                || "it cannot be read".to_owned(),
                |at| format!("line {}", at.line()),
            )
        })?;
    Ok(found.unwrap_or_default())
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
        let text = encrypt(&map, std::slice::from_ref(&public)).expect("encrypts");
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

    #[test]
    fn several_keys_open_one_file_and_bad_text_is_told_without_itself() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let files = ["mine", "yours"].map(|name| folder.path().join(name));
        let keys: Vec<String> = files
            .iter()
            .map(|file| generate_identity(file).expect("a key"))
            .collect();
        let map = BTreeMap::from([("a".to_owned(), "b\n".to_owned())]);
        let text = encrypt(&map, &keys).expect("encrypts");
        for file in files {
            assert_eq!(
                decrypt(text.as_bytes(), &Identities::read(&[file])),
                Ok(map.clone())
            );
        }
        assert!(encrypt(&map, &[]).is_err() && encrypt(&map, &["x".to_owned()]).is_err());
        assert_eq!(read("# nothing\n"), Ok(BTreeMap::new()));
        let why = read("a: b\nhunter2: [x\n").expect_err("no map");
        assert!(
            why.starts_with("line ") && !why.contains("hunter2"),
            "{why}"
        );
    }
}

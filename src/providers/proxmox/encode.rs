//! Percent-encoding as Proxmox wants it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but RFC 3986's unreserved characters. Proxmox splits form bodies at `&` and at `;`, cuts values at a
/// second `=` and reads `+` as a space, so all of them are escaped (seen with PVE 9.2.11).
const STRICT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// One path segment: as strict, but `:`, `@` and `!` stay readable in UPIDs, volume ids and token ids.
const SEGMENT: &AsciiSet = &STRICT.remove(b':').remove(b'@').remove(b'!');

/// A form or query value.
pub(super) fn value(text: &str) -> String {
    utf8_percent_encode(text, STRICT).to_string()
}

/// A path segment.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// `a=b&c=d`, a form body or a query.
pub(super) fn pairs(parameters: &[(String, String)]) -> String {
    let pairs: Vec<String> = parameters
        .iter()
        .map(|(name, text)| format!("{}={}", value(name), value(text)))
        .collect();
    pairs.join("&")
}

/// The one configuration value that Proxmox wants percent-encoded in itself, before the form is encoded.
const ENCODED_VALUE: &str = "sshkeys";

/// A VM configuration value as it must be before the form is encoded.
pub(super) fn config_value(key: &str, text: &str) -> String {
    if key == ENCODED_VALUE {
        value(text)
    } else {
        text.to_owned()
    }
}

/// A VM configuration value as people write it.
pub(super) fn plain_config_value(key: &str, text: String) -> String {
    if key == ENCODED_VALUE {
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_signs_and_spaces_never_reach_the_form_unescaped() {
        let body = pairs(&[
            ("boot".to_owned(), "order=scsi0;ide2".to_owned()),
            ("size".to_owned(), "+1G".to_owned()),
            ("description".to_owned(), "100% é & more".to_owned()),
        ]);
        assert_eq!(
            body,
            "boot=order%3Dscsi0%3Bide2&size=%2B1G&description=100%25%20%C3%A9%20%26%20more"
        );
    }

    #[test]
    fn ssh_keys_are_encoded_twice_and_read_back_as_written() {
        let keys = "ssh-ed25519 AAAA+/= a@b\nssh-ed25519 BBBB c@d";
        let once = config_value("sshkeys", keys);
        assert!(
            once.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-%_.~".contains(&b)),
            "{once}"
        );
        assert!(once.contains("%0A") && !once.contains('+'));
        assert!(pairs(&[("sshkeys".to_owned(), once.clone())]).contains("%250A"));
        assert_eq!(plain_config_value("sshkeys", once), keys);
        assert_eq!(config_value("name", "a b"), "a b");
    }

    #[test]
    fn a_volume_id_is_one_path_segment() {
        assert_eq!(segment("local:iso/x y.iso"), "local:iso%2Fx%20y.iso");
        assert_eq!(segment("10.0.0.0/8"), "10.0.0.0%2F8");
    }
}

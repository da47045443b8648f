//! The authority: made once, kept in the shared cache, so that base images that trust it stay valid.

use crate::lab::images::error::ImagesError;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::{
    crypto::ring::sign::any_ecdsa_type,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};
use std::{io::Write, path::Path, sync::Arc};

const KEY: &str = "authority.key";
const CERTIFICATE: &str = "authority.crt";

/// The lab's certificate authority.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// Takes the authority that `folder` holds, or makes one there. Its key is readable by its owner alone.
    ///
    /// # Errors
    /// When the folder cannot be used, or holds something else.
    pub fn load_or_make(folder: &Path) -> Result<Self, ImagesError> {
        std::fs::create_dir_all(folder).map_err(ImagesError::cache(folder))?;
        let key_file = folder.join(KEY);
        if !key_file.exists() {
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
            keep(folder, KEY, &key.serialize_pem())?;
        }
        let text = std::fs::read_to_string(&key_file).map_err(ImagesError::cache(&key_file))?;
        let key = KeyPair::from_pem(&text).map_err(|error| ImagesError::Garbled {
            path: key_file,
            why: error.to_string(),
        })?;
        let certificate_file = folder.join(CERTIFICATE);
        if !certificate_file.exists() {
            keep(folder, CERTIFICATE, &params().self_signed(&key)?.pem())?;
        }
        let pem = std::fs::read_to_string(&certificate_file)
            .map_err(ImagesError::cache(&certificate_file))?;
        Ok(Self {
            issuer: Issuer::new(params(), key),
            pem,
        })
    }

    /// The certificate that guests trust, in PEM form.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for one name, with its key.
    ///
    /// # Errors
    /// When the name cannot stand in a certificate.
    pub fn certify(&self, name: &str) -> Result<Arc<CertifiedKey>, ImagesError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut leaf = CertificateParams::new([name.to_owned()])?;
        leaf.distinguished_name
            .push(DnType::CommonName, "infra lab");
        leaf.not_before = date_time_ymd(2024, 1, 1);
        leaf.not_after = date_time_ymd(2100, 1, 1);
        // Without these Python 3.13 and OpenSSL's strict checks take it for no server's.
        leaf.use_authority_key_identifier_extension = true;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = leaf.signed_by(&key, &self.issuer)?;
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        Ok(Arc::new(CertifiedKey::new(chain, any_ecdsa_type(&der)?)))
    }
}

/// The same for a key at any time, so that what an old certificate was made from can be said again.
fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "infra lab authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2024, 1, 1);
    params.not_after = date_time_ymd(2100, 1, 1);
    params
}

/// Writes a file unless it came to be in the meantime: two labs that start together share the first one's. Temporary
/// files are readable by their owner alone.
fn keep(folder: &Path, name: &str, text: &str) -> Result<(), ImagesError> {
    let path = folder.join(name);
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(ImagesError::cache(folder))?;
    file.write_all(text.as_bytes())
        .map_err(ImagesError::cache(&path))?;
    match file.persist_noclobber(&path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(ImagesError::cache(&path)(error.error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_is_made_once_and_its_key_is_private() {
        let folder = tempfile::tempdir().expect("folder");
        let first = Authority::load_or_make(folder.path()).expect("made");
        let second = Authority::load_or_make(folder.path()).expect("loaded");
        assert_eq!(first.pem(), second.pem());
        let mode = std::fs::metadata(folder.path().join(KEY))
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_certificate_says_whose_it_is_and_what_for() {
        let folder = tempfile::tempdir().expect("folder");
        let authority = Authority::load_or_make(folder.path()).expect("made");
        let certified = authority.certify("example.org").expect("a name");
        let (_, leaf) = x509_parser::parse_x509_certificate(&certified.cert[0]).expect("DER");
        let is_named = |extension: &x509_parser::prelude::X509Extension<'_>| {
            matches!(
                extension.parsed_extension(),
                x509_parser::extensions::ParsedExtension::AuthorityKeyIdentifier(of) if of.key_identifier.is_some()
            )
        };
        assert!(leaf.extensions().iter().any(is_named));
        let usage = leaf.extended_key_usage().expect("readable").expect("there");
        assert!(usage.value.server_auth);
    }

    #[test]
    fn a_key_that_is_none_is_reported_with_its_file() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join(KEY), "no key").expect("written");
        let error = Authority::load_or_make(folder.path()).expect_err("garbled");
        assert!(matches!(error, ImagesError::Garbled { path, .. } if path.ends_with(KEY)));
    }
}

//! The certificate of the node, made once and pinned by its fingerprint.

use super::{error::ApiError, model::digest::hex};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest as _, Sha256};
use std::{fs, path::Path};

/// A self-signed certificate with its key.
#[derive(Debug, Clone)]
pub struct Certificate {
    der: Vec<u8>,
    key: Vec<u8>,
}

impl Certificate {
    /// Makes one for these names and addresses.
    ///
    /// # Errors
    /// [`ApiError::Certificate`] for a name that cannot be one.
    pub fn generate(names: &[String]) -> Result<Self, ApiError> {
        let made = rcgen::generate_simple_self_signed(names).map_err(ApiError::Certificate)?;
        Ok(Self {
            der: made.cert.der().to_vec(),
            key: made.signing_key.serialize_der(),
        })
    }

    /// Reads `cert.der` and `key.der` of a folder, or makes and keeps them, so that a restarted lab stays pinned.
    ///
    /// # Errors
    /// [`ApiError::Folder`] or [`ApiError::Certificate`].
    pub fn kept(folder: &Path, names: &[String]) -> Result<Self, ApiError> {
        let (cert, key) = (folder.join("cert.der"), folder.join("key.der"));
        if let (Ok(der), Ok(key)) = (fs::read(&cert), fs::read(&key)) {
            return Ok(Self { der, key });
        }
        let made = Self::generate(names)?;
        fs::create_dir_all(folder).map_err(|source| ApiError::Folder {
            path: folder.to_owned(),
            source,
        })?;
        super::disk_folder::write_private(&key, &made.key)
            .map_err(|source| ApiError::Folder { path: key, source })?;
        fs::write(&cert, &made.der).map_err(|source| ApiError::Folder { path: cert, source })?;
        Ok(made)
    }

    /// SHA-256 of the certificate, lower-case hex.
    pub fn fingerprint(&self) -> String {
        hex(&Sha256::digest(&self.der))
    }

    /// As Proxmox shows it: `AA:BB:...`.
    pub(crate) fn shown(&self) -> String {
        let pairs: Vec<String> = Sha256::digest(&self.der)
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        pairs.join(":")
    }

    /// The TLS settings of the server: HTTP/1.1 only, as pveproxy.
    pub(crate) fn server(&self) -> Result<rustls::ServerConfig, ApiError> {
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(ApiError::Tls)?
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(self.der.clone())], key)
            .map_err(ApiError::Tls)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

//! One certificate for each name that a guest asks for (SNI).

use super::Authority;
use crate::lab::images::error::ImagesError;
use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Names that are remembered. Guests ask for a dozen registries; more is a guest gone wild.
const REMEMBERED: usize = 1024;

#[derive(Debug)]
struct AnyName {
    authority: Arc<Authority>,
    made: Mutex<BTreeMap<String, Arc<CertifiedKey>>>,
}

impl ResolvesServerCert for AnyName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?.to_ascii_lowercase();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = made.get(&name) {
            return Some(Arc::clone(key));
        }
        let key = self.authority.certify(&name).ok()?;
        if made.len() >= REMEMBERED {
            made.clear();
        }
        made.insert(name, Arc::clone(&key));
        Some(key)
    }
}

/// A TLS server that has a certificate of `authority` for every name. Without SNI there is none to offer.
///
/// # Errors
/// When the TLS library refuses its own defaults.
pub fn server_config(authority: Arc<Authority>) -> Result<ServerConfig, ImagesError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(AnyName {
            authority,
            made: Mutex::default(),
        }));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

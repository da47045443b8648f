//! Which servers are believed.

use super::NotifyError;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use std::sync::Arc;

/// TLS with the CAs of this machine, or with the given one and no other.
pub(super) fn settings(ca: Option<&str>) -> Result<ClientConfig, NotifyError> {
    let bad = |why: String| NotifyError::Ca { why };
    let mut roots = RootCertStore::empty();
    match ca {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(|error| bad(error.to_string()))?;
                roots.add(certificate).map_err(|e| bad(e.to_string()))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(bad(match ca {
            Some(_) => "there is no CERTIFICATE block in it".to_owned(),
            None => "this machine has none: install the package `ca-certificates`".to_owned(),
        }));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Every cause of an error on one line, each once.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut lines: Vec<String> = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !lines.iter().any(|line| line.contains(&text)) {
            lines.push(text);
        }
        cause = inner.source();
    }
    lines.join(": ")
}

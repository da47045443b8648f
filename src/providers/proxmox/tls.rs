//! Why a TLS server is believed: its pinned certificate or a given CA.

use super::error::ProxmoxError;
use crate::model::desired::TlsTrust;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, OtherError,
    RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use sha2::{Digest, Sha256};
use std::{error::Error, fmt, sync::Arc};

/// SHA-256 of a leaf certificate, printed as `pvenode cert info` prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The fingerprint of a certificate in DER.
    pub fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

/// What the pinning verifier reports through rustls, hyper and reqwest.
#[derive(Debug, thiserror::Error)]
#[error("the certificate is not the pinned one")]
pub(super) struct OtherCertificate {
    pub(super) want: Fingerprint,
    pub(super) got: Fingerprint,
}

/// Believes exactly one certificate, whatever its names and dates.
#[derive(Debug)]
struct Pin {
    want: Fingerprint,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let got = Fingerprint::of(leaf);
        if got == self.want {
            return Ok(ServerCertVerified::assertion());
        }
        let other = OtherCertificate {
            want: self.want,
            got,
        };
        Err(TlsError::InvalidCertificate(CertificateError::Other(
            OtherError(Arc::new(other)),
        )))
    }

    // The signature proves that the server holds the key of the certificate it shows: a pin without it is worth
    // nothing, since certificates are public.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The TLS settings for a trust.
///
/// # Errors
/// [`ProxmoxError::BadCa`] when the PEM text holds no usable certificate.
pub(super) fn settings(trust: &TlsTrust) -> Result<ClientConfig, ProxmoxError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|source| ProxmoxError::Setup {
            source: Box::new(source),
        })?;
    match trust {
        TlsTrust::Fingerprint(bytes) => {
            let pin = Pin {
                want: Fingerprint(*bytes),
                provider,
            };
            Ok(builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(pin))
                .with_no_client_auth())
        }
        TlsTrust::CaPem(pem) => Ok(builder
            .with_root_certificates(roots(pem)?)
            .with_no_client_auth()),
    }
}

fn roots(pem: &str) -> Result<RootCertStore, ProxmoxError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| ProxmoxError::BadCa {
            why: error.to_string(),
        })?;
        roots
            .add(certificate)
            .map_err(|error| ProxmoxError::BadCa {
                why: error.to_string(),
            })?;
    }
    if roots.is_empty() {
        return Err(ProxmoxError::BadCa {
            why: "there is no CERTIFICATE block in it".to_owned(),
        });
    }
    Ok(roots)
}

/// The TLS error inside a transport error, if there is one.
pub(super) fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TlsError> {
    // hyper-rustls wraps rustls errors in io errors, twice at times, and `io::Error::source` skips what it wraps.
    fn unwrap<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TlsError> {
        if let Some(tls) = error.downcast_ref::<TlsError>() {
            return Some(tls);
        }
        let inner = error.downcast_ref::<std::io::Error>()?.get_ref()?;
        unwrap(inner)
    }
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(tls) = unwrap(error) {
            return Some(tls);
        }
        cause = error.source();
    }
    None
}

/// The pin's own complaint inside a TLS error.
pub(super) fn other_certificate(error: &TlsError) -> Option<&OtherCertificate> {
    let TlsError::InvalidCertificate(CertificateError::Other(other)) = error else {
        return None;
    };
    other.0.downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_without_a_certificate_is_refused() {
        let error = settings(&TlsTrust::CaPem("not a certificate".to_owned())).expect_err("no PEM");
        assert_eq!(
            error.to_string(),
            "read the CA certificate for Proxmox: there is no CERTIFICATE block in it"
        );
    }

    #[test]
    fn fingerprints_print_as_pvenode_prints_them() {
        let text = Fingerprint([0xAB; 32]).to_string();
        assert!(text.starts_with("AB:AB:") && text.len() == 95);
    }
}

//! A CA of one's own and a server certificate signed by it.

use super::BuiltinError;
use jiff::{ToSpan as _, civil::Date};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// Apple's devices refuse certificates of private CAs that last longer than this.
const SERVER_DAYS: i64 = 825;
/// Long enough that nobody has to install it twice.
const CA_DAYS: i64 = 3650;

/// All in PEM.
pub(super) struct Made {
    pub(super) ca_cert: String,
    pub(super) ca_key: String,
    pub(super) cert: String,
    pub(super) key: String,
}

/// Makes a CA and one server certificate for the host names.
pub(super) fn server(name: &str, hosts: &[String], today: Date) -> Result<Made, BuiltinError> {
    // The type of a moment belongs to a crate that only `rcgen` names; a closure need not.
    let moment = |date: Date| {
        date_time_ymd(
            i32::from(date.year()),
            date.month().unsigned_abs(),
            date.day().unsigned_abs(),
        )
    };
    // From the day before, because clocks differ.
    let first = today.saturating_sub(1.day());
    let failed = |source| BuiltinError::Certificate {
        name: name.to_owned(),
        source,
    };
    let ca_key = KeyPair::generate().map_err(failed)?;
    let mut ca = CertificateParams::new(Vec::new()).map_err(failed)?;
    ca.distinguished_name
        .push(DnType::CommonName, format!("infra {name} CA"));
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.not_before = moment(first);
    ca.not_after = moment(today.saturating_add(CA_DAYS.days()));
    let ca_cert = ca.self_signed(&ca_key).map_err(failed)?;
    let issuer = Issuer::from_params(&ca, &ca_key);

    let key = KeyPair::generate().map_err(failed)?;
    let mut leaf = CertificateParams::new(hosts).map_err(failed)?;
    let common = hosts.first().map_or(name, String::as_str);
    leaf.distinguished_name.push(DnType::CommonName, common);
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    leaf.not_before = moment(first);
    leaf.not_after = moment(today.saturating_add(SERVER_DAYS.days()));
    let cert = leaf.signed_by(&key, &issuer).map_err(failed)?;
    Ok(Made {
        ca_cert: ca_cert.pem(),
        cert: cert.pem(),
        key: key.serialize_pem(),
        ca_key: ca_key.serialize_pem(),
    })
}

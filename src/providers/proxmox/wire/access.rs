//! `/access/*` and `/version`.

use serde::Deserialize;

/// `POST /access/ticket`. Debug is absent: both fields are secrets.
#[derive(Deserialize)]
pub(in super::super) struct Ticket {
    pub(in super::super) ticket: String,
    #[serde(rename = "CSRFPreventionToken", default)]
    pub(in super::super) csrf: String,
}

/// `GET /access/permissions`: path -> privilege -> whether it reaches below the path.
pub(in super::super) type Permissions =
    std::collections::BTreeMap<String, std::collections::BTreeMap<String, super::Flag>>;

/// `GET /version`.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Version {
    pub(in super::super) version: String,
}

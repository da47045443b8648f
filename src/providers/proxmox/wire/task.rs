//! `/nodes/{node}/tasks/{upid}/*`.

use serde::Deserialize;

/// `GET .../status`.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Status {
    pub(in super::super) status: String,
    #[serde(default)]
    pub(in super::super) exitstatus: Option<String>,
}

/// One row of `GET .../log`. An empty line has no `t`.
#[derive(Debug, Deserialize)]
pub(in super::super) struct LogLine {
    #[serde(default)]
    pub(in super::super) t: Option<String>,
}

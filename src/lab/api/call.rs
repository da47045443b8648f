//! One request after decoding, and what can come of it.

use super::{
    job::Job,
    model::{access::Who, change::Dice, cluster::Model},
    table::check::Given,
};
use crate::lab::backend::Backend;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, sync::Arc};

/// A checked request.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) who: Who,
    /// Parameters of path, query and body.
    pub(crate) given: Given,
    /// Seconds since the epoch.
    pub(crate) now: i64,
    /// Real seconds per second of the node.
    pub(crate) scale: f64,
    pub(crate) dice: Dice,
    /// SHA-256 of the certificate, `AA:BB:...`.
    pub(crate) fingerprint: String,
    pub(crate) backend: Arc<dyn Backend>,
}

impl Call {
    /// A parameter, if given.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.given
            .get(name)
            .and_then(|values| values.first())
            .map(String::as_str)
    }

    /// A parameter that the table requires, or one of the path.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// All values of a list.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        self.given.get(name).cloned().unwrap_or_default()
    }

    /// A list written in one text: `a,b`.
    pub(crate) fn split(&self, name: &str) -> Vec<String> {
        let separators = [',', ';', ' '];
        let all = self
            .text(name)
            .split(separators)
            .filter(|part| !part.is_empty());
        all.map(str::to_owned).collect()
    }

    /// Whether a switch is on.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.get(name) == Some("1")
    }

    /// A number, if given.
    pub(crate) fn number<N: std::str::FromStr>(&self, name: &str) -> Option<N> {
        self.get(name).and_then(|text| text.parse().ok())
    }

    /// The guest of the path.
    pub(crate) fn vmid(&self) -> u32 {
        self.number("vmid").unwrap_or(0)
    }

    /// The node of the path.
    pub(crate) fn node(&self) -> &str {
        self.text("node")
    }

    /// Refuses who lacks privileges on a path.
    pub(crate) fn needs(
        &self,
        model: &Model,
        path: &str,
        privileges: &[&str],
    ) -> Result<(), Refusal> {
        permitted(model, &self.who, path, privileges, false)
    }

    /// Whether the caller holds any of these privileges on a path.
    pub(crate) fn may(&self, model: &Model, path: &str, privileges: &[&str]) -> bool {
        model.access.may(&self.who, path, privileges, true)
    }
}

/// Refuses who lacks privileges on a path.
pub(crate) fn permitted(
    model: &Model,
    who: &Who,
    path: &str,
    privileges: &[&str],
    any: bool,
) -> Result<(), Refusal> {
    if model.access.may(who, path, privileges, any) {
        return Ok(());
    }
    let names = privileges.join(if any { "|" } else { ", " });
    Err(Refusal::Denied(format!(
        "Permission check failed ({path}, {names})"
    )))
}

/// What a request gets.
pub(crate) type Answer = Result<Outcome, Refusal>;

/// A request that was carried out.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) data: Value,
    /// Fields beside `data`: `total`, `changes`.
    pub(crate) beside: Map<String, Value>,
    /// A job to start, whose UPID becomes `data`.
    pub(crate) job: Option<Job>,
    /// The firewall acts at once, not with its next round.
    pub(crate) enforce: bool,
}

impl Outcome {
    /// Nothing to say.
    pub(crate) fn nothing() -> Answer {
        Ok(Self::default())
    }

    /// Data.
    pub(crate) fn data(data: impl Into<Value>) -> Answer {
        Ok(Self {
            data: data.into(),
            ..Self::default()
        })
    }

    /// A job.
    pub(crate) fn job(job: Job) -> Answer {
        Ok(Self {
            job: Some(job),
            ..Self::default()
        })
    }
}

/// A request that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 400 with complaints per parameter.
    Parameters(BTreeMap<String, String>),
    /// 401.
    Unauthorized(String),
    /// 403.
    Denied(String),
    /// 500.
    Failed(String),
    /// 501.
    NotImplemented(String),
}

impl Refusal {
    /// A complaint about one parameter.
    pub(crate) fn parameter(name: &str, complaint: impl Into<String>) -> Self {
        Self::Parameters(BTreeMap::from([(name.to_owned(), complaint.into())]))
    }
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

//! One row of the table.

use super::param::{INTEGER, Param, Params, TEXT, req};
use crate::lab::api::{
    agent::Verb,
    call::{Answer, Call},
    model::cluster::Model,
};
use std::collections::BTreeMap;

/// The methods that the real server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    /// As it is written on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    /// Reads one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Get, Self::Post, Self::Put, Self::Delete]
            .into_iter()
            .find(|method| method.as_str() == text)
    }
}

/// Who may call, in the words of the schema. `{vmid}` stands for the parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Check {
    /// Anybody, without credentials.
    World,
    /// Every user; the endpoint shows each only what they may see.
    Everyone,
    /// All of these privileges.
    Perm(&'static str, &'static [&'static str]),
    /// One of these privileges.
    Any(&'static str, &'static [&'static str]),
    /// All of these privileges, if a parameter is given.
    PermIf(&'static str, &'static [&'static str], &'static str),
    And(&'static [Self]),
    Or(&'static [Self]),
    /// May change permissions on a path.
    Modify(&'static str),
    /// `self`, or a privilege on the user's realm.
    User(&'static str),
    /// A privilege on the user's groups.
    UserGroup(&'static [&'static str]),
    /// The same for the groups that a new user gets.
    NewUserGroup(&'static [&'static str]),
}

/// What answers.
#[derive(Clone, Copy)]
pub(crate) enum Act {
    /// Reads the model, and perhaps starts a job.
    Read(fn(&Model, &Call) -> Answer),
    /// Changes the model.
    Write(fn(&mut Model, &Call) -> Answer),
    /// Changes the model while holding the guest's file lock.
    Guest(fn(&mut Model, &Call) -> Answer),
    /// Asks the guest's agent.
    Agent(Verb),
    /// Takes a file.
    Upload,
}

/// One row.
#[derive(Clone, Copy)]
pub(crate) struct Endpoint {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) check: Check,
    pub(crate) act: Act,
    /// Parameters of query and body.
    pub(crate) params: Params,
    /// API tokens are refused.
    pub(crate) is_ticket_only: bool,
}

pub(super) const fn endpoint(
    method: Method,
    path: &'static str,
    check: Check,
    act: Act,
    params: Params,
) -> Endpoint {
    Endpoint {
        method,
        path,
        check,
        act,
        params,
        is_ticket_only: false,
    }
}

/// Parameters that stand in paths.
pub(crate) const PATH: &[Param] = &[
    req("node", TEXT.format("pve-node")),
    req("vmid", INTEGER.min(100).max(999_999_999).format("pve-vmid")),
    req("snapname", TEXT.format("pve-configid").max(40)),
    req("pos", INTEGER.min(0)),
    req(
        "name",
        TEXT.pattern("[A-Za-z][A-Za-z0-9\\-\\_]+").max(64).min(2),
    ),
    req("cidr", TEXT.format("IPorCIDRorAlias")),
    req(
        "group",
        TEXT.pattern("[A-Za-z][A-Za-z0-9\\-\\_]+").max(18).min(2),
    ),
    req("storage", TEXT.format("pve-storage-id")),
    req("volume", TEXT),
    req("iface", TEXT.format("pve-iface").max(20).min(2)),
    req("upid", TEXT),
    req("sid", TEXT.format("pve-ha-resource-or-vm-id")),
    req("id", TEXT.format("pve-configid")),
    req("rule", TEXT.format("pve-configid")),
    req("roleid", TEXT.format("pve-roleid")),
    req("userid", TEXT.format("pve-userid").max(64)),
    req("zone", TEXT.pattern(super::sdn::NAME).max(8).min(2)),
    req("vnet", TEXT.pattern(super::sdn::NAME).max(8).min(2)),
    req("subnet", TEXT.format("pve-sdn-subnet-id")),
    req("tokenid", TEXT.pattern("(?^:[A-Za-z][A-Za-z0-9\\.\\-_]+)")),
];

impl Endpoint {
    pub(super) const fn ticket_only(self) -> Self {
        Self {
            is_ticket_only: true,
            ..self
        }
    }

    /// The parameters of its path if it fits. The last one may hold slashes where it is a network or a volume.
    pub(crate) fn captures(&self, path: &str) -> Option<BTreeMap<String, String>> {
        let mut captures = BTreeMap::new();
        let mut rest = path.strip_prefix('/')?;
        let mut parts = self.path.trim_start_matches('/').split('/').peekable();
        while let Some(part) = parts.next() {
            let is_last = parts.peek().is_none();
            let greedy = is_last && matches!(part, "{cidr}" | "{volume}");
            let (here, next) = match rest.split_once('/') {
                Some((here, next)) if !greedy => (here, Some(next)),
                _ => (rest, None),
            };
            match part
                .strip_prefix('{')
                .and_then(|part| part.strip_suffix('}'))
            {
                Some(name) if !here.is_empty() => {
                    captures.insert(name.to_owned(), here.to_owned());
                }
                None if part == here => {}
                _ => return None,
            }
            match (next, is_last) {
                (None, true) => return Some(captures),
                (Some(next), false) => rest = next,
                _ => return None,
            }
        }
        None
    }
}

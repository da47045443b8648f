//! Changing a cluster: one request each, sent once.

use super::{
    client::{Attachment, Client, Payload},
    encode,
    endpoint::{self, Endpoint},
    error::{ProxmoxError, Refusal},
    request::Request,
    task::Upid,
    write::{ConfigChange, FirewallScope, ProxmoxWrite},
};
use crate::model::{
    firewall::{PveAlias, PveRule, PveRuleKind},
    ids::Vmid,
    image::Download,
};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

impl ProxmoxWrite for Client {
    async fn download_url(
        &self,
        node: &str,
        storage: &str,
        download: &Download,
    ) -> Result<Upid, ProxmoxError> {
        let checksum = download.checksum.as_ref();
        let request = Request::new(&endpoint::DOWNLOAD_URL, &[node, storage])
            .with("content", "import")
            .with("filename", &download.filename)
            .with("url", &download.url)
            .with_some(
                "checksum-algorithm",
                checksum.map(|sum| sum.algorithm.as_str()),
            )
            .with_some("checksum", checksum.map(|sum| sum.hex.as_str()));
        self.task(&request).await
    }

    async fn upload_iso(
        &self,
        node: &str,
        storage: &str,
        filename: &str,
        bytes: Vec<u8>,
    ) -> Result<Upid, ProxmoxError> {
        let mut hex = String::with_capacity(64);
        for byte in Sha256::digest(&bytes) {
            write!(hex, "{byte:02x}").expect("a string takes all that is written to it");
        }
        let request = Request::new(&endpoint::UPLOAD, &[node, storage])
            .with("content", "iso")
            .with("checksum-algorithm", "sha256")
            .with("checksum", hex);
        let attachment = Attachment {
            filename: filename.to_owned(),
            payload: Payload::Bytes(bytes),
        };
        upid(
            &request,
            self.send_with(&request, Some(&attachment)).await?.as_str(),
        )
    }

    async fn delete_volume(&self, node: &str, volid: &str) -> Result<Option<Upid>, ProxmoxError> {
        let storage = volid.split(':').next().unwrap_or_default();
        let request = Request::new(&endpoint::VOLUME_DELETE, &[node, storage, volid]);
        let data = self.send(&request).await?;
        if data.is_null() {
            Ok(None)
        } else {
            upid(&request, data.as_str()).map(Some)
        }
    }

    async fn create_vm(
        &self,
        node: &str,
        vmid: Vmid,
        options: &BTreeMap<String, String>,
    ) -> Result<Upid, ProxmoxError> {
        let request = Request::new(&endpoint::VM_CREATE, &[node]).with("vmid", vmid.to_string());
        self.task(&with_options(request, options)).await
    }

    async fn update_config(
        &self,
        node: &str,
        vmid: Vmid,
        change: &ConfigChange,
    ) -> Result<Upid, ProxmoxError> {
        let request = vm(&endpoint::VM_UPDATE, node, vmid)
            .with_some("delete", joined(change.delete.iter().map(String::as_str)))
            .with_some("digest", change.digest.as_deref());
        self.task(&with_options(request, &change.set)).await
    }

    async fn resize_disk(
        &self,
        node: &str,
        vmid: Vmid,
        disk: &str,
        size: u64,
    ) -> Result<Upid, ProxmoxError> {
        let size = format!("{}K", size.div_ceil(1024));
        let request = vm(&endpoint::VM_RESIZE, node, vmid)
            .with("disk", disk)
            .with("size", size);
        self.task(&request).await
    }

    async fn start(&self, node: &str, vmid: Vmid) -> Result<Upid, ProxmoxError> {
        self.task(&vm(&endpoint::VM_START, node, vmid)).await
    }

    async fn stop(&self, node: &str, vmid: Vmid) -> Result<Upid, ProxmoxError> {
        self.task(&vm(&endpoint::VM_STOP, node, vmid)).await
    }

    async fn shutdown(
        &self,
        node: &str,
        vmid: Vmid,
        seconds: u32,
        force: bool,
    ) -> Result<Upid, ProxmoxError> {
        let request = vm(&endpoint::VM_SHUTDOWN, node, vmid)
            .with("timeout", seconds.to_string())
            .with("forceStop", if force { "1" } else { "0" });
        self.task(&request).await
    }

    async fn reboot(&self, node: &str, vmid: Vmid, seconds: u32) -> Result<Upid, ProxmoxError> {
        self.task(&vm(&endpoint::VM_REBOOT, node, vmid).with("timeout", seconds.to_string()))
            .await
    }

    async fn put_dir_mapping(
        &self,
        id: &str,
        map: &[String],
        description: Option<&str>,
    ) -> Result<(), ProxmoxError> {
        let filled = |request: Request| {
            map.iter()
                .fold(request, |request, entry| request.with("map", entry))
                .with_some("description", description)
        };
        let create = filled(Request::new(&endpoint::DIR_MAPPING_CREATE, &[]).with("id", id));
        match self.done(&create).await {
            Err(error) if error.refusal() == Some(Refusal::Exists) => {
                self.done(&filled(Request::new(&endpoint::DIR_MAPPING_UPDATE, &[id])))
                    .await
            }
            answer => answer,
        }
    }

    async fn set_options(
        &self,
        scope: &FirewallScope,
        set: &BTreeMap<String, String>,
        delete: &BTreeSet<String>,
    ) -> Result<(), ProxmoxError> {
        let request = scoped(
            scope,
            "options",
            [
                Some(&endpoint::CLUSTER_FW_OPTIONS_SET),
                None,
                Some(&endpoint::NODE_FW_OPTIONS_SET),
                Some(&endpoint::GUEST_FW_OPTIONS_SET),
            ],
            &[],
        )?
        .with_all(set)
        .with_some("delete", joined(delete.iter().map(String::as_str)));
        self.firewall_write(scope, &request).await
    }

    async fn create_alias(
        &self,
        scope: &FirewallScope,
        name: &str,
        alias: &PveAlias,
    ) -> Result<(), ProxmoxError> {
        let row = [
            Some(&endpoint::CLUSTER_ALIAS_CREATE),
            None,
            None,
            Some(&endpoint::GUEST_ALIAS_CREATE),
        ];
        let request = scoped(scope, "aliases", row, &[])?
            .with("name", name)
            .with("cidr", &alias.cidr)
            .with_some("comment", alias.comment.as_deref());
        self.firewall_write(scope, &request).await
    }

    async fn update_alias(
        &self,
        scope: &FirewallScope,
        name: &str,
        alias: &PveAlias,
    ) -> Result<(), ProxmoxError> {
        let row = [
            Some(&endpoint::CLUSTER_ALIAS_UPDATE),
            None,
            None,
            Some(&endpoint::GUEST_ALIAS_UPDATE),
        ];
        let request = scoped(scope, "aliases", row, &[name])?
            .with("cidr", &alias.cidr)
            .with_some("comment", alias.comment.as_deref());
        self.firewall_write(scope, &request).await
    }

    async fn delete_alias(&self, scope: &FirewallScope, name: &str) -> Result<(), ProxmoxError> {
        let row = [
            Some(&endpoint::CLUSTER_ALIAS_DELETE),
            None,
            None,
            Some(&endpoint::GUEST_ALIAS_DELETE),
        ];
        self.firewall_write(scope, &scoped(scope, "aliases", row, &[name])?)
            .await
    }

    async fn create_ipset(
        &self,
        scope: &FirewallScope,
        name: &str,
        comment: Option<&str>,
    ) -> Result<(), ProxmoxError> {
        let row = [
            Some(&endpoint::CLUSTER_IPSET_CREATE),
            None,
            None,
            Some(&endpoint::GUEST_IPSET_CREATE),
        ];
        let request = scoped(scope, "IP sets", row, &[])?
            .with("name", name)
            .with_some("comment", comment);
        self.firewall_write(scope, &request).await
    }

    async fn delete_ipset(&self, scope: &FirewallScope, name: &str) -> Result<(), ProxmoxError> {
        let row = [
            Some(&endpoint::CLUSTER_IPSET_DELETE),
            None,
            None,
            Some(&endpoint::GUEST_IPSET_DELETE),
        ];
        let request = scoped(scope, "IP sets", row, &[name])?.with("force", "1");
        self.firewall_write(scope, &request).await
    }

    async fn add_member(
        &self,
        scope: &FirewallScope,
        name: &str,
        cidr: &str,
        nomatch: bool,
    ) -> Result<(), ProxmoxError> {
        let row = [
            Some(&endpoint::CLUSTER_IPSET_ADD),
            None,
            None,
            Some(&endpoint::GUEST_IPSET_ADD),
        ];
        let request = scoped(scope, "IP sets", row, &[name])?
            .with("cidr", cidr)
            .with_some("nomatch", nomatch.then_some("1"));
        self.firewall_write(scope, &request).await
    }

    async fn remove_member(
        &self,
        scope: &FirewallScope,
        name: &str,
        cidr: &str,
    ) -> Result<(), ProxmoxError> {
        let row = [
            Some(&endpoint::CLUSTER_IPSET_REMOVE),
            None,
            None,
            Some(&endpoint::GUEST_IPSET_REMOVE),
        ];
        self.firewall_write(scope, &scoped(scope, "IP sets", row, &[name, cidr])?)
            .await
    }

    async fn create_group(&self, name: &str, comment: Option<&str>) -> Result<(), ProxmoxError> {
        let request = Request::new(&endpoint::GROUP_CREATE, &[])
            .with("group", name)
            .with_some("comment", comment);
        self.firewall_write(&FirewallScope::Cluster, &request).await
    }

    async fn delete_group(&self, name: &str) -> Result<(), ProxmoxError> {
        self.firewall_write(
            &FirewallScope::Cluster,
            &Request::new(&endpoint::GROUP_DELETE, &[name]),
        )
        .await
    }

    async fn insert_rule(&self, scope: &FirewallScope, rule: &PveRule) -> Result<(), ProxmoxError> {
        let row = [
            Some(&endpoint::CLUSTER_FW_RULE_INSERT),
            Some(&endpoint::GROUP_RULE_INSERT),
            Some(&endpoint::NODE_FW_RULE_INSERT),
            Some(&endpoint::GUEST_FW_RULE_INSERT),
        ];
        let request = fields(rule).into_iter().fold(
            scoped(scope, "rules", row, &[])?,
            |request, (name, value)| request.with_some(name, value),
        );
        self.firewall_write(scope, &request).await
    }

    async fn update_rule(
        &self,
        scope: &FirewallScope,
        position: usize,
        rule: &PveRule,
        digest: &str,
    ) -> Result<(), ProxmoxError> {
        let fields = fields(rule);
        let absent = fields
            .iter()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| *name);
        let delete = joined(absent);
        let request = fields
            .into_iter()
            .fold(rule_change(scope, position)?, |request, (name, value)| {
                request.with_some(name, value)
            })
            .with_some("delete", delete)
            .with("digest", digest);
        self.firewall_write(scope, &request).await
    }

    async fn move_rule(
        &self,
        scope: &FirewallScope,
        from: usize,
        to: usize,
        digest: &str,
    ) -> Result<(), ProxmoxError> {
        // `moveto` names the rule before which to insert, counted before the move: downwards it is one further.
        let before = if to > from { to + 1 } else { to };
        let request = rule_change(scope, from)?
            .with("moveto", before.to_string())
            .with("digest", digest);
        self.firewall_write(scope, &request).await
    }

    async fn delete_rule(
        &self,
        scope: &FirewallScope,
        position: usize,
        digest: &str,
    ) -> Result<(), ProxmoxError> {
        let row = [
            Some(&endpoint::CLUSTER_FW_RULE_DELETE),
            Some(&endpoint::GROUP_RULE_DELETE),
            Some(&endpoint::NODE_FW_RULE_DELETE),
            Some(&endpoint::GUEST_FW_RULE_DELETE),
        ];
        let request =
            scoped(scope, "rules", row, &[position.to_string().as_str()])?.with("digest", digest);
        self.firewall_write(scope, &request).await
    }
}

impl Client {
    /// Sends a request whose answer is a task.
    pub(super) async fn task(&self, request: &Request) -> Result<Upid, ProxmoxError> {
        upid(request, self.send(request).await?.as_str())
    }

    /// Sends a request whose answer says nothing.
    pub(super) async fn done(&self, request: &Request) -> Result<(), ProxmoxError> {
        self.send(request).await.map(drop)
    }

    async fn firewall_write(
        &self,
        scope: &FirewallScope,
        request: &Request,
    ) -> Result<(), ProxmoxError> {
        match scope {
            FirewallScope::Cluster | FirewallScope::Group(_) => {
                let _turn = self.cluster_firewall().lock().await;
                self.done(request).await
            }
            FirewallScope::Node(_) | FirewallScope::Guest { .. } => self.done(request).await,
        }
    }
}

/// The request on a scope, from one row for each of cluster, group, node and guest.
fn scoped(
    scope: &FirewallScope,
    what: &'static str,
    [cluster, group, node, guest]: [Option<&'static Endpoint>; 4],
    names: &[&str],
) -> Result<Request, ProxmoxError> {
    let (endpoint, first) = match scope {
        FirewallScope::Cluster => (cluster, vec![]),
        FirewallScope::Group(name) => (group, vec![name.clone()]),
        FirewallScope::Node(name) => (node, vec![name.clone()]),
        FirewallScope::Guest { node, vmid } => (guest, vec![node.clone(), vmid.to_string()]),
    };
    let endpoint = endpoint.ok_or_else(|| ProxmoxError::NotInScope {
        what,
        scope: scope.to_string(),
    })?;
    let names: Vec<&str> = first
        .iter()
        .map(String::as_str)
        .chain(names.iter().copied())
        .collect();
    Ok(Request::new(endpoint, &names))
}

fn rule_change(scope: &FirewallScope, position: usize) -> Result<Request, ProxmoxError> {
    let row = [
        Some(&endpoint::CLUSTER_FW_RULE_CHANGE),
        Some(&endpoint::GROUP_RULE_CHANGE),
        Some(&endpoint::NODE_FW_RULE_CHANGE),
        Some(&endpoint::GUEST_FW_RULE_CHANGE),
    ];
    scoped(scope, "rules", row, &[position.to_string().as_str()])
}

/// Every field of a rule. `enable` is always said: the API stores a rule disabled when it is not.
fn fields(rule: &PveRule) -> Vec<(&'static str, Option<String>)> {
    let kind = match rule.kind {
        PveRuleKind::In => "in",
        PveRuleKind::Out => "out",
        PveRuleKind::Forward => "forward",
        PveRuleKind::Group => "group",
    };
    vec![
        ("type", Some(kind.to_owned())),
        ("action", Some(rule.action.clone())),
        (
            "enable",
            Some(if rule.enable { "1" } else { "0" }.to_owned()),
        ),
        ("proto", rule.proto.clone()),
        ("source", rule.source.clone()),
        ("dest", rule.dest.clone()),
        ("sport", rule.sport.clone()),
        ("dport", rule.dport.clone()),
        ("icmp-type", rule.icmp_type.clone()),
        ("macro", rule.r#macro.clone()),
        ("iface", rule.iface.clone()),
        ("log", rule.log.clone()),
        ("comment", rule.comment.clone()),
    ]
}

pub(super) fn vm(endpoint: &'static Endpoint, node: &str, vmid: Vmid) -> Request {
    Request::new(endpoint, &[node, vmid.to_string().as_str()])
}

fn with_options(request: Request, options: &BTreeMap<String, String>) -> Request {
    options.iter().fold(request, |request, (key, value)| {
        request.with(key, encode::config_value(key, value))
    })
}

/// `a,b`, none for nothing.
fn joined<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: Vec<&str> = names.collect();
    (!names.is_empty()).then(|| names.join(","))
}

/// The task in an answer. Without one nobody knows what the server began.
pub(super) fn upid(request: &Request, data: Option<&str>) -> Result<Upid, ProxmoxError> {
    let text = data.unwrap_or_default();
    text.parse()
        .map_err(|error: super::task::InvalidUpid| ProxmoxError::Garbled {
            request: request.to_string(),
            why: error.to_string(),
        })
}

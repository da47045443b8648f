//! Looking at the firewall: rules, options, aliases and sets of each scope.

use super::{
    client::Client,
    endpoint::{self, Endpoint},
    error::ProxmoxError,
    firewall_file::{File, FirewallFiles},
    observe::is_off,
    read::ProxmoxRequest,
    request::Request,
    unanswered::Open,
    wire::{
        Text,
        firewall::{Alias, Group, Ipset, Member, Options, Rule},
    },
    write::FirewallScope,
};
use crate::model::{
    firewall::{PveAlias, PveFirewall, PveGroup, PveIpset, PveRules, PveScope},
    firewall_step::PveLevel,
    ids::{HostName, Vmid},
    observed::{ObservedProxmox, Question},
};
use futures_util::future::{join_all, try_join_all};
use serde::de::DeserializeOwned;
use std::{collections::BTreeMap, future::Future};

/// A value, and what Proxmox says is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Seen<T> {
    pub(super) value: T,
    pub(super) complaints: Vec<String>,
}

/// Everything but the guests.
#[derive(Debug, Default)]
pub(super) struct ClusterFirewall {
    pub(super) firewall: PveFirewall,
    pub(super) complaints: Vec<String>,
    pub(super) open: Open,
    /// The files of the guests, when a shell told them and the datacenter's file is what the API says.
    pub(super) files: Option<FirewallFiles>,
}

/// The endpoints by which a scope is read.
struct ScopeEndpoints {
    options: &'static Endpoint,
    aliases: Option<&'static Endpoint>,
    ipsets: Option<(&'static Endpoint, &'static Endpoint)>,
}

const CLUSTER: ScopeEndpoints = ScopeEndpoints {
    options: &endpoint::CLUSTER_FW_OPTIONS,
    aliases: Some(&endpoint::CLUSTER_ALIASES),
    ipsets: Some((&endpoint::CLUSTER_IPSETS, &endpoint::CLUSTER_IPSET_MEMBERS)),
};
const NODE: ScopeEndpoints = ScopeEndpoints {
    options: &endpoint::NODE_FW_OPTIONS,
    aliases: None,
    ipsets: None,
};
const GUEST: ScopeEndpoints = ScopeEndpoints {
    options: &endpoint::GUEST_FW_OPTIONS,
    aliases: Some(&endpoint::GUEST_ALIASES),
    ipsets: Some((&endpoint::GUEST_IPSETS, &endpoint::GUEST_IPSET_MEMBERS)),
};

impl Client {
    /// The cluster's scope, the groups and the nodes, when the firewall is wanted.
    pub(super) async fn firewall_of_cluster(
        &self,
        request: &ProxmoxRequest,
        files: impl Future<Output = Option<FirewallFiles>> + Send,
    ) -> ClusterFirewall {
        let mut out = ClusterFirewall::default();
        if !request.firewall {
            return out;
        }
        let nodes = request.nodes.iter().map(|name| async move {
            let scope = FirewallScope::Node(name.as_str().to_owned());
            (
                name,
                self.scope(&scope, &NODE, &[name.as_str()], false).await,
            )
        });
        let (cluster, nodes) = tokio::join!(self.datacenter(files), join_all(nodes));
        let level = Question::Firewall(PveLevel::Cluster);
        if let Some((cluster, groups, files)) = out.open.answer(level, cluster) {
            out.complaints.extend(cluster.complaints);
            out.complaints.extend(groups.complaints);
            out.firewall.cluster = cluster.value;
            out.firewall.groups = groups.value;
            out.files = files;
        }
        for (name, answer) in nodes {
            match answer {
                // A node that the cluster does not have: its absence says so.
                Err(error) if error.is_not_found() => {}
                answer => {
                    let level = Question::Firewall(PveLevel::Node(name.clone()));
                    if let Some(seen) = out.open.answer(level, answer) {
                        out.complaints.extend(seen.complaints);
                        out.firewall.nodes.insert(name.clone(), seen.value);
                    }
                }
            }
        }
        out
    }

    /// The cluster's scope and the groups. The API's lists are asked in any case; what is in each set and group comes from
    /// the file, when that says the same as the lists.
    async fn datacenter(
        &self,
        files: impl Future<Output = Option<FirewallFiles>> + Send,
    ) -> Result<
        (
            Seen<PveScope>,
            Seen<BTreeMap<String, PveGroup>>,
            Option<FirewallFiles>,
        ),
        ProxmoxError,
    > {
        let scope = FirewallScope::Cluster;
        let requests = [
            CLUSTER.options,
            &endpoint::CLUSTER_IPSETS,
            &endpoint::GROUPS,
        ]
        .map(|endpoint| Request::new(endpoint, &[]));
        let [options, sets, groups] = &requests;
        let (files, options, rules, aliases, sets, groups) = tokio::join!(
            files,
            self.fetch::<Options>(options),
            self.rule_list(&scope),
            self.listed::<Alias>(CLUSTER.aliases, &[]),
            self.fetch::<Vec<Ipset>>(sets),
            self.fetch::<Vec<Group>>(groups),
        );
        let (rules, groups, sets) = (rules?, groups?, sets?);
        let mut seen = Seen {
            value: PveScope {
                options: in_words(options?),
                rules: rules.value,
                aliases: aliases?.into_iter().map(Alias::into_model).collect(),
                ipsets: BTreeMap::new(),
            },
            complaints: rules.complaints,
        };
        if let Some(files) = files
            && let Some(file) = files.cluster()
            && says_the_same(&file, &seen.value, &sets, &groups)
        {
            seen.value.ipsets = file.scope.ipsets;
            let groups = Seen {
                value: file.groups,
                complaints: Vec::new(),
            };
            return Ok((seen, groups, Some(files)));
        }
        let (ipsets, groups) = tokio::try_join!(
            self.members(&endpoint::CLUSTER_IPSET_MEMBERS, &[], sets),
            self.rules_of_groups(groups),
        )?;
        seen.value.ipsets = ipsets;
        Ok((seen, groups, None))
    }

    /// A guest's scope, when the firewall is wanted: where the guest lives, or where it would be made.
    pub(super) async fn firewall_of_guest(
        &self,
        request: &ProxmoxRequest,
        seen: &ObservedProxmox,
        vmid: Vmid,
        node: &HostName,
        told: Option<PveScope>,
        named_in_groups: bool,
    ) -> (Vmid, Result<Option<Seen<PveScope>>, ProxmoxError>) {
        let node = seen
            .guests
            .get(&vmid)
            .map_or(node.as_str(), |guest| guest.node.as_str());
        if !request.firewall {
            return (vmid, Ok(None));
        }
        if let Some(value) = told {
            let complaints = Vec::new();
            return (vmid, Ok(Some(Seen { value, complaints })));
        }
        if is_off(seen, node) {
            let node = node.to_owned();
            return (vmid, Err(ProxmoxError::NodeOff { node }));
        }
        let scope = FirewallScope::Guest {
            node: node.to_owned(),
            vmid,
        };
        let number = vmid.to_string();
        let names = [node, number.as_str()];
        let answer = match self.scope(&scope, &GUEST, &names, named_in_groups).await {
            Err(error) if error.is_not_found() => Ok(None),
            answer => answer.map(Some),
        };
        (vmid, answer)
    }

    /// One list of rules.
    pub(super) async fn rule_list(
        &self,
        scope: &FirewallScope,
    ) -> Result<Seen<PveRules>, ProxmoxError> {
        let request = match scope {
            FirewallScope::Cluster => Request::new(&endpoint::CLUSTER_FW_RULES, &[]),
            FirewallScope::Group(name) => Request::new(&endpoint::GROUP_RULES, &[name.as_str()]),
            FirewallScope::Node(name) => Request::new(&endpoint::NODE_FW_RULES, &[name.as_str()]),
            FirewallScope::Guest { node, vmid } => Request::new(
                &endpoint::GUEST_FW_RULES,
                &[node.as_str(), vmid.to_string().as_str()],
            ),
        };
        let rows: Vec<Rule> = self.fetch(&request).await?;
        let garbled = |why| ProxmoxError::Garbled {
            request: request.to_string(),
            why,
        };
        in_order(scope, rows).map_err(garbled)
    }

    async fn rules_of_groups(
        &self,
        groups: Vec<Group>,
    ) -> Result<Seen<BTreeMap<String, PveGroup>>, ProxmoxError> {
        let each = groups.into_iter().map(|group| async move {
            let rules = self
                .rule_list(&FirewallScope::Group(group.group.clone()))
                .await?;
            Ok::<_, ProxmoxError>((group, rules))
        });
        let mut seen: Seen<BTreeMap<String, PveGroup>> = Seen::default();
        for (group, rules) in try_join_all(each).await? {
            let value = PveGroup {
                comment: group.comment,
                rules: rules.value,
            };
            seen.complaints.extend(rules.complaints);
            seen.value.insert(group.group, value);
        }
        Ok(seen)
    }

    async fn scope(
        &self,
        scope: &FirewallScope,
        endpoints: &ScopeEndpoints,
        names: &[&str],
        named_in_groups: bool,
    ) -> Result<Seen<PveScope>, ProxmoxError> {
        let options = Request::new(endpoints.options, names);
        let (options, rules, ipsets) = tokio::try_join!(
            self.fetch::<Options>(&options),
            self.rule_list(scope),
            self.ipsets(endpoints.ipsets, names),
        )?;
        // A guest's own aliases mean nothing until something names one: hundreds of questions less.
        let is_guest = matches!(scope, FirewallScope::Guest { .. });
        let aliases = if is_guest && !named_in_groups && !names_alias(&rules.value, &ipsets) {
            Vec::new()
        } else {
            self.listed::<Alias>(endpoints.aliases, names).await?
        };
        let value = PveScope {
            options: in_words(options),
            rules: rules.value,
            aliases: aliases
                .into_iter()
                .map(Alias::into_model)
                .collect::<BTreeMap<String, PveAlias>>(),
            ipsets,
        };
        Ok(Seen {
            value,
            complaints: rules.complaints,
        })
    }

    async fn listed<T: DeserializeOwned>(
        &self,
        endpoint: Option<&'static Endpoint>,
        names: &[&str],
    ) -> Result<Vec<T>, ProxmoxError> {
        match endpoint {
            Some(endpoint) => self.fetch(&Request::new(endpoint, names)).await,
            None => Ok(Vec::new()),
        }
    }

    async fn ipsets(
        &self,
        endpoints: Option<(&'static Endpoint, &'static Endpoint)>,
        names: &[&str],
    ) -> Result<BTreeMap<String, PveIpset>, ProxmoxError> {
        let Some((list, members)) = endpoints else {
            return Ok(BTreeMap::new());
        };
        let sets: Vec<Ipset> = self.listed(Some(list), names).await?;
        self.members(members, names, sets).await
    }

    async fn members(
        &self,
        members: &'static Endpoint,
        names: &[&str],
        sets: Vec<Ipset>,
    ) -> Result<BTreeMap<String, PveIpset>, ProxmoxError> {
        let each = sets.into_iter().map(|set| async move {
            let names: Vec<&str> = names.iter().copied().chain([set.name.as_str()]).collect();
            let rows: Vec<Member> = self.fetch(&Request::new(members, &names)).await?;
            let members = rows
                .into_iter()
                .map(|row| (row.cidr, row.nomatch.0))
                .collect();
            Ok::<_, ProxmoxError>((
                set.name,
                PveIpset {
                    members,
                    comment: set.comment,
                },
            ))
        });
        Ok(try_join_all(each).await?.into_iter().collect())
    }
}

fn in_words(options: Options) -> BTreeMap<String, String> {
    let option = |(key, text): (String, Option<Text>)| {
        let Text(text) = text?;
        (key != "digest").then_some((key, text))
    };
    options.into_iter().filter_map(option).collect()
}

/// Whether the datacenter's file is the one that the API speaks of: it could be that of another cluster, or of a node that
/// has not heard of the last change.
fn says_the_same(file: &File, seen: &PveScope, sets: &[Ipset], groups: &[Group]) -> bool {
    let sets: BTreeMap<&str, Option<&str>> = sets
        .iter()
        .map(|set| (set.name.as_str(), set.comment.as_deref()))
        .collect();
    let groups: BTreeMap<&str, Option<&str>> = groups
        .iter()
        .map(|group| (group.group.as_str(), group.comment.as_deref()))
        .collect();
    file.scope.options == seen.options
        && file.scope.rules.rules == seen.rules.rules
        && file.scope.aliases == seen.aliases
        && sets
            == (file.scope.ipsets.iter())
                .map(|(name, set)| (name.as_str(), set.comment.as_deref()))
                .collect()
        && groups
            == (file.groups.iter())
                .map(|(name, group)| (name.as_str(), group.comment.as_deref()))
                .collect()
}

/// Whether a rule of a group names an alias that each guest may have of its own.
pub(super) fn groups_name_alias(firewall: &PveFirewall) -> bool {
    let none = BTreeMap::new();
    let mut groups = firewall.groups.values();
    groups.any(|group| names_alias(&group.rules, &none))
}

/// Whether a rule or a set names an alias: neither an address nor a set, and not one of the cluster's.
fn names_alias(rules: &PveRules, ipsets: &BTreeMap<String, PveIpset>) -> bool {
    let ends = rules
        .rules
        .iter()
        .flat_map(|rule| [&rule.source, &rule.dest])
        .flatten()
        .flat_map(|text| text.split(','));
    let members = ipsets
        .values()
        .flat_map(|set| set.members.keys().map(String::as_str));
    ends.chain(members).any(|text| {
        let text = text.trim().trim_start_matches('!');
        let first = text.split(['/', '-']).next().unwrap_or(text);
        !text.is_empty()
            && !text.starts_with('+')
            && !text.starts_with("dc/")
            && first.parse::<std::net::IpAddr>().is_err()
    })
}

/// Rules by position, with the digest that all of them carry. An empty list has no digest.
fn in_order(scope: &FirewallScope, mut rows: Vec<Rule>) -> Result<Seen<PveRules>, String> {
    rows.sort_by_key(|row| row.pos.0);
    let digest = rows.first().and_then(|row| row.digest.clone());
    let complaint = |row: &Rule| {
        let why: Vec<&str> = row.errors.values().map(|text| text.trim()).collect();
        (!why.is_empty()).then(|| {
            format!(
                "Proxmox skips rule {} of {scope}: {}",
                row.pos.0,
                why.join(", ")
            )
        })
    };
    let complaints = rows.iter().filter_map(complaint).collect();
    let rules = rows
        .into_iter()
        .map(Rule::into_model)
        .collect::<Result<Vec<_>, String>>()?;
    Ok(Seen {
        value: PveRules { rules, digest },
        complaints,
    })
}

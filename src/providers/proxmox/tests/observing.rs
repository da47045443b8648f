//! An observation put together from recorded answers.

use super::{
    replay::{RECORDINGS, Recorded},
    server::{Asked, Reply, Server},
};
use crate::model::{
    firewall::PveRuleKind,
    firewall_step::PveLevel,
    ids::{HostName, StorageId, Vmid},
    observed::Question,
};
use crate::providers::proxmox::{FirewallScope, ProxmoxError, ProxmoxRead, ProxmoxRequest};
use std::collections::{BTreeMap, BTreeSet};

fn node() -> HostName {
    "pve".parse().expect("valid")
}

fn vmid(number: u32) -> Vmid {
    Vmid::new(number).expect("valid")
}

fn request() -> ProxmoxRequest {
    let storage: StorageId = "local".parse().expect("valid");
    ProxmoxRequest {
        nodes: BTreeSet::from([node()]),
        content: BTreeMap::from([((node(), storage), BTreeSet::from(["import".to_owned()]))]),
        guests: BTreeMap::from([(vmid(150), node()), (vmid(998), node())]),
        mark: None,
        firewall: true,
        pools: false,
        entries: BTreeSet::new(),
    }
}

/// The last recorded success for a request, or a chosen one of them.
fn recorded(asked: &Asked) -> Reply {
    let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
    let query: BTreeMap<String, String> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let is_same = |recorded: &&Recorded| recorded.method == asked.method && recorded.path == path;
    let all = &*RECORDINGS;
    let chosen = match path {
        // The one with a value that waits for the next start.
        "/nodes/pve/qemu/150/pending" => all.iter().filter(is_same).nth(1),
        // The one with the guest running.
        "/nodes/pve/qemu" => {
            return Reply::data(
                r#"[{"cpus":2,"name":"intranet","status":"running","vmid":150,"tags":"infra;intranet"}]"#,
            );
        }
        // The list of two guests that pvestatd has not looked at yet.
        "/cluster/resources" => all
            .iter()
            .filter(is_same)
            .find(|recorded| recorded.query.contains_key("type")),
        // Those with a rule that Proxmox skips.
        "/nodes/pve/qemu/150/firewall/rules" => all.iter().filter(is_same).nth(RULES_WITH_ERRORS),
        _ => all
            .iter()
            .filter(is_same)
            .find(|recorded| recorded.query == query),
    };
    match chosen {
        Some(recorded) => {
            let body = String::from_utf8(recorded.body()).expect("UTF-8");
            Reply::Answer(recorded.status(), "", body)
        }
        // Never recorded, or recorded for another guest: there is nothing of the kind.
        None if path.ends_with("/options") => Reply::data("{}"),
        None => Reply::data("[]"),
    }
}

/// Which of the recorded lists of guest 150's rules has `errors`.
const RULES_WITH_ERRORS: usize = 3;

#[tokio::test]
async fn guests_with_the_mark_are_asked_for_their_configuration_whether_they_are_named_or_not() {
    let server = Server::start(|asked, _| recorded(asked));
    let request = ProxmoxRequest {
        guests: BTreeMap::new(),
        mark: Some("infra".to_owned()),
        ..request()
    };
    let seen = server.client().observe(&request).await.expect("recorded");
    assert_eq!(seen.unanswered, []);
    let config = seen.guests[&vmid(150)].config.as_ref();
    assert_eq!(config.expect("asked for")["cores"], "1");
    assert_eq!(seen.guests[&vmid(152)].config, None);
}

#[tokio::test]
async fn guests_are_seen_with_what_runs_and_what_waits() {
    let server = Server::start(|asked, _| recorded(asked));
    let seen = server
        .client()
        .observe(&request())
        .await
        .expect("everything was recorded");
    assert_eq!(seen.version, "9.2.11");
    let guest = &seen.guests[&vmid(150)];
    // The list of resources says `unknown` and has no name yet; the guest itself knows better.
    assert_eq!(
        (
            guest.status.as_str(),
            guest.name.as_str(),
            guest.kind.as_str()
        ),
        ("running", "intranet", "qemu")
    );
    let config = guest.config.as_ref().expect("asked for");
    assert_eq!(config["cores"], "1");
    assert_eq!(config["memory"], "1536", "2048 only waits");
    assert_eq!(config["onboot"], "1");
    assert!(config["sshkeys"].starts_with("ssh-ed25519 AAAA") && config["sshkeys"].contains('+'));
    assert!(!config.contains_key("digest"));
    assert_eq!(
        guest.digest.as_deref(),
        Some("91a130fea1a16d9b4588ba32d8f6443d93baa6a0")
    );
    assert_eq!(
        guest.pending,
        BTreeMap::from([("memory".to_owned(), Some("2048".to_owned()))])
    );
    // One question for a guest's configuration, one for the power of all guests of its node.
    let lines = server.lines();
    assert!(lines.contains(&"GET /nodes/pve/qemu/150/pending".to_owned()));
    assert!(lines.contains(&"GET /nodes/pve/qemu".to_owned()));
    assert!(!lines.iter().any(|line| line.contains("/status/current")));
    let other = &seen.guests[&vmid(152)];
    assert_eq!(
        (other.status.as_str(), other.config.as_ref()),
        ("unknown", None)
    );
    assert!(
        !seen.guests.contains_key(&vmid(998)),
        "a guest that is missing is absent"
    );
}

#[tokio::test]
async fn nodes_are_seen_with_storages_volumes_and_bridges() {
    let server = Server::start(|asked, _| match asked.target.as_str() {
        "/cluster/resources" => {
            Reply::data(r#"[{"type":"node","node":"pve","status":"online","id":"node/pve"}]"#)
        }
        _ => recorded(asked),
    });
    let seen = server
        .client()
        .observe(&request())
        .await
        .expect("everything was recorded");
    let node = &seen.nodes[&node()];
    assert_eq!(node.status, "online");
    assert_eq!(node.bridges["vmbr0"], ["10.77.0.2/24"]);
    assert!(node.bridges["vmbr1"].is_empty() && !node.bridges.contains_key("eth0"));
    let local = &node.storages["local"];
    assert!(local.active && local.kind == "dir" && local.content.contains(&"import".to_owned()));
    assert_eq!(local.available, 69_024_747_520);
    assert_eq!(local.volumes["local:import/debian-13.qcow2"], 182_386_688);
    assert!(
        node.storages["tank"].volumes.is_empty(),
        "nobody asked for its content"
    );
}

#[tokio::test]
async fn firewall_rules_keep_their_order_and_skipped_ones_are_told() {
    let server = Server::start(|asked, _| recorded(asked));
    let seen = server
        .client()
        .observe(&request())
        .await
        .expect("everything was recorded");
    let guest = &seen.firewall.guests[&vmid(150)];
    let actions: Vec<&str> = guest
        .rules
        .rules
        .iter()
        .map(|rule| rule.action.as_str())
        .collect();
    assert_eq!(actions, ["ACCEPT", "nope", "infra-web", "ACCEPT", "ACCEPT"]);
    assert_eq!(guest.rules.rules[2].kind, PveRuleKind::Group);
    assert_eq!(
        guest.rules.digest.as_deref(),
        Some("b7e584ae52b0691780ba98e376df60aafcd0b74f")
    );
    assert_eq!(
        seen.complaints,
        ["Proxmox skips rule 0 of the firewall of guest 150: no such alias 'dc/intranet'"]
    );
    assert!(guest.ipsets.contains_key("ipfilter-net0"));
    assert!(!guest.options.contains_key("digest"));
    assert_eq!(
        seen.firewall.cluster.aliases["intranet"].cidr,
        "10.77.0.150"
    );
    assert!(
        !seen.firewall.cluster.rules.rules[0].enable,
        "stored disabled, since nobody said `enable`"
    );
    assert!(seen.firewall.nodes.contains_key(&node()));
    // What an earlier guest of the id left behind would act on the next one, so it is looked at.
    assert!(
        server
            .lines()
            .contains(&"GET /nodes/pve/qemu/998/firewall/rules".to_owned())
    );
}

#[tokio::test]
async fn an_observation_is_a_handful_of_requests() {
    let server = Server::start(|asked, _| recorded(asked));
    server
        .client()
        .observe(&request())
        .await
        .expect("everything was recorded");
    let lines = server.lines();
    let distinct: BTreeSet<&String> = lines.iter().collect();
    assert_eq!(distinct.len(), lines.len(), "nothing is asked twice");
    assert!(
        lines.len() <= 28,
        "{} requests:\n{}",
        lines.len(),
        lines.join("\n")
    );
}

#[tokio::test]
async fn a_node_that_is_off_hides_nothing_but_itself() {
    let server = Server::start(|asked, _| match asked.target.as_str() {
        "/cluster/resources" => Reply::data(
            r#"[{"type":"node","node":"pve","status":"online"},{"type":"node","node":"pve2","status":"offline"},
                {"type":"qemu","node":"pve2","vmid":120,"status":"unknown"}]"#,
        ),
        target if target.contains("/nodes/pve2/") => Reply::Bare(595, "No route to host"),
        _ => recorded(asked),
    });
    let mut request = request();
    request.nodes.insert("pve2".parse().expect("valid"));
    request
        .guests
        .insert(vmid(120), "pve2".parse().expect("valid"));
    let seen = server
        .client()
        .observe(&request)
        .await
        .expect("pve answers");
    let off = &seen.nodes[&"pve2".parse::<HostName>().expect("valid")];
    assert_eq!((off.status.as_str(), off.storages.len()), ("offline", 0));
    assert_eq!(seen.guests[&vmid(120)].config, None);
    let open: BTreeSet<&Question> = seen.unanswered.iter().map(|u| &u.question).collect();
    let pve2: HostName = "pve2".parse().expect("valid");
    let about_it = [
        Question::Node(pve2.clone()),
        Question::Power(pve2.clone()),
        Question::Guest(vmid(120)),
        Question::Firewall(PveLevel::Node(pve2)),
        Question::Firewall(PveLevel::Guest(vmid(120))),
    ];
    assert_eq!(open, about_it.iter().collect());
    assert!(seen.unanswered.iter().all(|u| u.why.contains("is off")));
    assert!(!seen.nodes[&node()].storages.is_empty());
}

#[tokio::test]
async fn a_question_without_an_answer_hides_nothing_but_its_own() {
    let server = Server::start(|asked, _| match asked.target.as_str() {
        "/nodes/pve/storage" => {
            Reply::message(403, "Permission check failed (/nodes/pve, Sys.Audit)\n")
        }
        "/cluster/resources" => Reply::data(
            r#"[{"type":"node","node":"pve","status":"online"},
                {"type":"qemu","node":"pve","vmid":150,"status":"unknown"}]"#,
        ),
        "/nodes/pve/qemu/150/firewall/options" => Reply::message(500, "malformed line\n"),
        "/cluster/mapping/pci" => Reply::data("{\"not\":\"a list\"}"),
        _ => recorded(asked),
    });
    let seen = server
        .client()
        .observe(&request())
        .await
        .expect("what was answered");
    let open: Vec<&Question> = seen.unanswered.iter().map(|u| &u.question).collect();
    assert_eq!(
        open,
        [
            &Question::PciMappings,
            &Question::Node(node()),
            &Question::Firewall(PveLevel::Guest(vmid(150))),
        ]
    );
    let why = &seen.unanswered(&Question::Node(node())).expect("open").why;
    assert!(why.contains("Sys.Audit"), "{why}");
    assert!(seen.guests[&vmid(150)].config.is_some());
    assert_eq!(
        seen.firewall.cluster.aliases["intranet"].cidr,
        "10.77.0.150"
    );
}

#[tokio::test]
async fn who_does_not_know_the_guests_knows_nothing() {
    let server = Server::start(|asked, _| match asked.target.as_str() {
        "/cluster/resources" => Reply::message(500, "cluster not ready - no quorum?\n"),
        _ => recorded(asked),
    });
    let error = server.client().observe(&request()).await;
    let error = error.expect_err("nothing is known");
    assert!(
        matches!(error, ProxmoxError::Refused { status: 500, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn rules_are_read_again_with_their_digest() {
    let server = Server::start(|asked, _| recorded(asked));
    let rules = server
        .client()
        .rules(&FirewallScope::Group("infra-web".to_owned()))
        .await
        .expect("recorded");
    let comments: Vec<Option<&str>> = rules
        .rules
        .iter()
        .map(|rule| rule.comment.as_deref())
        .collect();
    assert_eq!(comments, [Some("infra:flow-2"), Some("infra:flow-1")]);
    assert!(rules.digest.is_some());
}

//! UFW as a real host showed it (`tests/ufw/README.md`), against what is wanted: each hand edit is seen, and the steps
//! that repair it are those that repaired the real host.

use infra::{
    firewall::{Strangers, diff_ufw},
    model::{
        ids::HostName,
        ufw::{Ufw, UfwAction, UfwDirection, UfwRule, UfwStep, UfwSteps},
    },
    providers::{
        shell::{Command, Output, Shell, ShellError},
        ufw::{Facts, UfwClient, UfwError, UfwRead, UfwWrite, parse_facts},
    },
};
use std::sync::Mutex;

/// The steps that made `applied.txt` from `fresh.txt`.
const APPLY: &str = "\
ipv6|yes
ufw|allow|in|proto|tcp|from|192.168.1.5/32|to|any|port|22|comment|infra:operators administration
ufw|allow|in|proto|tcp|from|192.168.1.0/24|to|any|port|80,443|comment|infra:row-1 proxy\u{2019}s café
ufw|allow|in|proto|udp|from|192.168.1.0/24|to|any|port|1194|comment|infra:row-1 proxy\u{2019}s café
ufw|deny|in|proto|udp|from|10.10.10.0/24|to|any|port|1194|comment|infra:row-2 VPN
ufw|deny|in|proto|udp|from|fd00:1::/64|to|any|port|1194|comment|infra:row-2 VPN
ufw|allow|in|proto|udp|from|any|to|any|port|1194|comment|infra:row-2 VPN
ufw|allow|in|proto|tcp|from|10.0.0.0/8|to|10.10.10.2/32|port|6000:6010,7000|comment|infra:row-3
ufw|default|deny|incoming
ufw|default|allow|outgoing
ufw|default|deny|routed
enable
";

/// The steps that made `repaired.txt` from `edited.txt`.
const REPAIR: &str = "\
ufw|prepend|allow|in|proto|tcp|from|192.168.1.0/24|to|any|port|80,443|comment|infra:row-1 proxy\u{2019}s café
ufw|delete|allow|in|proto|tcp|from|any|to|any|port|8080
ufw|delete|limit|in|proto|tcp|from|any|to|any|port|22
ufw|delete|allow|in|log|proto|udp|from|any|to|any|port|9999
ufw|delete|deny|out|proto|tcp|from|any|to|any|port|25
ufw|route|delete|allow|in|on|eth0|out|on|eth1|proto|tcp|from|any|to|10.0.0.1/32|port|80
ufw|delete|allow|in|proto|udp|from|1.2.3.4/32|port|53|to|any
ufw|delete|allow|in|from|any|to|any|app|App Two
ufw|delete|allow|in|from|any|to|any|app|App Two
ufw|delete|allow|in|on|lo|from|any|to|any|port|3000
ufw|delete|reject|in|proto|tcp|from|any|to|any|port|7
";

fn facts(name: &str) -> Facts {
    let path = format!("{}/tests/ufw/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("a capture");
    parse_facts(&text).expect("understood")
}

fn captured(name: &str) -> Ufw {
    facts(name).ufw.expect("installed")
}

#[test]
fn rules_that_let_packets_pass_ufw_or_docker_by_are_told_and_bans_are_not() {
    let seen = facts("beside");
    assert_eq!(
        seen.beside,
        [
            "iptables -A INPUT -p tcp -m tcp --dport 5432 -j ACCEPT",
            "iptables -A FORWARD -s 192.0.2.7/32 -j ACCEPT",
        ]
    );
    // Forwarded packets meet the second one before Docker's hook, and IPv6 has no hook at all.
    let docker = seen.docker_user.expect("its chain is there");
    let is_jump = |line: &String| line.ends_with("-A DOCKER-USER -j INFRA-DOCKER");
    assert!(!docker.iter().any(is_jump), "{docker:#?}");
    assert!(seen.ufw.expect("installed").enabled);
    assert_eq!(facts("applied").beside, [""; 0]);
    // The same host with a network whose bridge has a name of its own.
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ufw/beside.txt");
    let text = std::fs::read_to_string(path).expect("a capture");
    let named = text.replace("br-9b7946f98e59", "house0");
    let seen = parse_facts(&named).expect("understood");
    let unseen = "iptables -A FORWARD -o house0 -j DOCKER";
    assert_eq!(seen.beside.last().map(String::as_str), Some(unseen));
    assert_eq!(seen.beside.len(), 3);
}

fn rule(action: UfwAction, from: &str, ports: &str, comment: &str) -> UfwRule {
    let (ports, proto) = ports.split_once('/').expect("ports/proto");
    let port = |text: &str| {
        let port = format!("{text}/{proto}");
        port.parse::<infra::model::address::Port>().expect("a port")
    };
    let ports: Vec<_> = ports.split(',').map(port).collect();
    UfwRule {
        action,
        direction: UfwDirection::In,
        proto: Some(ports[0].proto),
        from: (from != "any").then(|| from.parse().expect("a network")),
        to: None,
        ports: ports.into_iter().map(|port| port.range).collect(),
        source_ports: vec![],
        app: None,
        log: None,
        interface: None,
        comment: Some(comment.to_owned()),
    }
}

fn wanted() -> Ufw {
    use UfwAction::{Allow, Deny};
    let proxy = "infra:row-1 proxy\u{2019}s café";
    let mut last = rule(Allow, "10.0.0.0/8", "6000-6010,7000/tcp", "infra:row-3");
    last.to = "10.10.10.2/32".parse().ok();
    Ufw {
        enabled: true,
        incoming: Deny,
        outgoing: Allow,
        routed: Deny,
        ipv6: true,
        flushes_all: false,
        rules: vec![
            rule(
                Allow,
                "192.168.1.5/32",
                "22/tcp",
                "infra:operators administration",
            ),
            rule(Allow, "192.168.1.0/24", "80,443/tcp", proxy),
            rule(Allow, "192.168.1.0/24", "1194/udp", proxy),
            rule(Deny, "10.10.10.0/24", "1194/udp", "infra:row-2 VPN"),
            rule(Deny, "fd00:1::/64", "1194/udp", "infra:row-2 VPN"),
            rule(Allow, "any", "1194/udp", "infra:row-2 VPN"),
            last,
        ],
    }
}

/// A host that answers with a capture and remembers what it was told.
struct Host {
    name: HostName,
    answer: String,
    code: i32,
    told: Mutex<Vec<String>>,
}

impl Host {
    fn answering(answer: &str) -> Self {
        let path = format!(
            "{}/tests/ufw/{answer}.answer.txt",
            env!("CARGO_MANIFEST_DIR")
        );
        Self {
            name: HostName::new("extranet").expect("valid"),
            answer: std::fs::read_to_string(path).expect("a capture"),
            code: 0,
            told: Mutex::new(Vec::new()),
        }
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().expect("not poisoned").clone()
    }
}

impl Shell for Host {
    fn host(&self) -> &HostName {
        &self.name
    }

    async fn run(&self, command: Command) -> Result<Output, ShellError> {
        assert_eq!(command.script_name(), Some("infra-ufw"));
        let input = String::from_utf8(command.stdin.clone()).expect("UTF-8");
        self.told
            .lock()
            .expect("not poisoned")
            .push(input.replace('\t', "|"));
        Ok(Output {
            code: self.code,
            stdout: self.answer.clone().into_bytes(),
            stderr: b"ERROR: problem running\n".to_vec(),
            ..Output::default()
        })
    }
}

fn now<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(work)
}

fn steps(observed: Option<&Ufw>) -> Vec<UfwStep> {
    diff_ufw(observed, &wanted(), Strangers::Remove).steps.0
}

#[test]
fn a_fresh_ufw_gets_its_rules_before_it_is_switched_on() {
    let fresh = captured("fresh");
    assert!(!fresh.enabled && fresh.rules.is_empty());
    let diff = diff_ufw(None, &wanted(), Strangers::Remove);
    let host = Host::answering("applied");
    let after = now(UfwClient::new(&host).carry_out(&diff.steps)).expect("carried out");
    assert_eq!(host.told(), [APPLY]);
    assert_eq!(after, captured("applied"));
}

#[test]
fn what_was_applied_needs_no_further_change() {
    assert_eq!(steps(Some(&captured("applied"))), []);
    assert_eq!(steps(Some(&captured("repaired"))), []);
}

#[test]
fn hand_edits_are_seen_and_repaired_rule_by_rule() {
    let edited = captured("edited");
    let diff = diff_ufw(Some(&edited), &wanted(), Strangers::Remove);
    assert_eq!(diff.foreign.len(), 10);
    let host = Host::answering("repaired");
    now(UfwClient::new(&host).carry_out(&diff.steps)).expect("carried out");
    assert_eq!(host.told(), [REPAIR]);
}

#[test]
fn foreign_rules_stay_where_others_manage_the_host_too() {
    let diff = diff_ufw(Some(&captured("edited")), &wanted(), Strangers::Keep);
    assert_eq!(diff.foreign.len(), 10);
    let first = wanted().rules[1].clone();
    assert_eq!(diff.steps.0, [UfwStep::Prepend(first)]);
}

#[test]
fn ufw_is_not_on_when_its_rules_are_not_in_the_kernel() {
    for state in ["unloaded", "flushed", "disabled"] {
        let seen = captured(state);
        assert!(!seen.enabled, "{state}");
        assert_eq!(steps(Some(&seen)), [UfwStep::Enable], "{state}");
    }
}

#[test]
fn half_a_rule_is_completed_and_nothing_is_closed() {
    let rule = wanted().rules[5].clone();
    assert_eq!(steps(Some(&captured("half"))), [UfwStep::Append(rule)]);
}

#[test]
fn a_denial_behind_the_rule_that_allows_everybody_is_put_right() {
    let mut seen = captured("applied");
    let position = seen.rules.iter().position(|r| r.action == UfwAction::Deny);
    let denial = seen.rules.remove(position.expect("one"));
    seen.rules.push(denial);
    let everybody = wanted().rules[5].clone();
    let repair = [
        UfwStep::Delete(everybody.clone()),
        UfwStep::Append(everybody),
    ];
    assert_eq!(steps(Some(&seen)), repair);
}

#[test]
fn a_new_comment_replaces_a_rule_without_closing_it() {
    let mut seen = captured("applied");
    seen.rules[0].comment = Some("infra:operators other words".to_owned());
    let rule = wanted().rules[0].clone();
    assert_eq!(steps(Some(&seen)), [UfwStep::Prepend(rule)]);
}

#[test]
fn a_step_without_effect_is_an_error() {
    let host = Host::answering("applied");
    let elsewhere = rule(UfwAction::Allow, "192.168.9.9/32", "22/tcp", "infra:x");
    let steps = UfwSteps(vec![UfwStep::Append(elsewhere)]);
    let error = now(UfwClient::new(&host).carry_out(&steps)).expect_err("not there");
    assert!(matches!(error, UfwError::NotSo { .. }), "{error}");

    let host = Host {
        code: 3,
        ..Host::answering("applied")
    };
    let error = now(UfwClient::new(&host).ufw()).expect_err("refused");
    assert!(error.to_string().contains("problem running"), "{error}");
}

#[test]
fn docker_rules_are_live_only_behind_the_hook() {
    let text = "live4 -A FORWARD -j DOCKER-USER\nlive6 -A FORWARD -j DOCKER-USER\n\
                live4 -A DOCKER-USER -j INFRA-DOCKER\nlive4 -A INFRA-DOCKER -i docker0 -j RETURN\n\
                live6 -A DOCKER-USER -j RETURN\nlive6 -A DOCKER-USER -j INFRA-DOCKER\n";
    let facts = parse_facts(text).expect("understood");
    let lines = [
        "4 -A DOCKER-USER -j INFRA-DOCKER",
        "4 -A INFRA-DOCKER -i docker0 -j RETURN",
    ];
    assert_eq!(facts.docker_user.expect("some"), lines);
    assert_eq!(facts.ufw, None);
    // Of both chains, in whatever order the kernel lists them.
    let held = "live4 -A INFRA-DOCKER-OUT -j DROP\nlive4 -A INFRA-DOCKER -i docker0 -g INFRA-DOCKER-OUT\n\
                live6 -A INFRA-DOCKER-OUT -p icmpv6 -m icmp6 --icmpv6-type 128 -j RETURN\n\
                live6 nft iifname \"docker0\" goto containers\nlive6 nft out drop\n";
    let facts = parse_facts(held).expect("understood");
    assert_eq!(
        facts.docker_user.expect("some"),
        [
            "4 -A INFRA-DOCKER -i docker0 -g INFRA-DOCKER-OUT",
            "4 -A INFRA-DOCKER-OUT -j DROP",
            "6 -A INFRA-DOCKER-OUT -p ipv6-icmp -m icmp6 --icmpv6-type 128 -j RETURN",
            "6 nft iifname \"docker0\" goto containers",
            "6 nft out drop",
        ]
    );
    // Docker 26 after a restart with `live-restore`.
    let restarted = format!("live4 -A FORWARD -j DOCKER-ISOLATION-STAGE-1\n{text}");
    let facts = parse_facts(&restarted).expect("understood");
    assert_eq!(facts.docker_user.expect("some"), lines);
    assert_eq!(parse_facts("").expect("understood").docker_user, None);
    parse_facts("nonsense here").expect_err("unexpected");
}

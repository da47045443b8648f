//! Every folder of `tests/firewall/cases` holds a system and what it compiles to, as a person would read it.

use crate::system::system;
use infra::{
    diagnostic::{Diagnostic, Severity},
    firewall::{CompiledFirewall, analysis::verify, compile},
    model::{
        address::PortRange,
        firewall::{PveRule, PveRuleKind, PveScope},
        ufw::{UfwAction, UfwDirection, UfwRule},
    },
};
use std::fmt::Write as _;

#[test]
fn every_case_compiles_to_what_stands_beside_it() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/firewall/cases");
    let mut cases: Vec<_> = std::fs::read_dir(folder)
        .expect("readable")
        .map(|entry| entry.expect("entry").path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 16, "the cases were not found");
    for case in cases {
        let text = std::fs::read_to_string(case.join("matrix.txt")).expect("a matrix");
        let (compiled, diagnostics) = compile(&system(&text));
        insta::with_settings!({
            snapshot_path => &case,
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!("compiled", shown(&compiled, &diagnostics));
        });
    }
}

/// The sample of FW012, which no inventory can cause: rules that were changed after they were compiled.
#[test]
fn rules_that_do_not_say_what_the_matrix_says_are_told() {
    let text = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/firewall/cases/redundant-flow/matrix.txt"
    );
    let desired = system(&std::fs::read_to_string(text).expect("a matrix"));
    let (mut compiled, _) = compile(&desired);
    let ufw = compiled.ufw.values_mut().next().expect("of the host");
    let lost = ufw.rules.remove(0);
    let mut more = ufw.rules[0].clone();
    more.ports = vec![PortRange::one(5432)];
    more.from = None;
    ufw.rules.push(more);
    let said = verify(&desired, &compiled);
    assert!(
        said.iter()
            .all(|one| one.code.0 == "FW012" && one.severity == Severity::Error),
        "{said:#?}"
    );
    let mut out = ufw_rule(&lost) + "\n";
    for one in &said {
        line(&mut out, &one.summary);
    }
    insta::assert_snapshot!(out);
}

fn shown(compiled: &CompiledFirewall, diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        let severity = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let (code, summary) = (diagnostic.code.0, &diagnostic.summary);
        line(&mut out, &format!("{severity} {code}: {summary}"));
        for label in &diagnostic.labels {
            line(
                &mut out,
                &format!("  line {}: {}", label.place.line, label.text),
            );
        }
        line(
            &mut out,
            &format!("  help: {}", diagnostic.help.as_deref().unwrap_or("-")),
        );
    }
    let pve = &compiled.pve;
    if !pve.cluster.options.is_empty() {
        scope(&mut out, "datacenter", &pve.cluster);
    }
    for (name, node) in &pve.nodes {
        scope(&mut out, &format!("node {name}"), node);
    }
    for (vmid, guest) in &pve.guests {
        scope(&mut out, &format!("guest {vmid}"), guest);
    }
    for (name, group) in &pve.groups {
        assert!(name.len() <= 18, "Proxmox refuses the group {name}");
        line(&mut out, &format!("\n[group {name}]"));
        for rule in &group.rules.rules {
            line(&mut out, &pve_rule(rule));
        }
    }
    for (host, ufw) in &compiled.ufw {
        let word = |action: UfwAction| format!("{action:?}").to_lowercase();
        let (incoming, outgoing) = (word(ufw.incoming), word(ufw.outgoing));
        line(
            &mut out,
            &format!("\n[ufw {host}] in {incoming}, out {outgoing}"),
        );
        for rule in &ufw.rules {
            line(&mut out, &ufw_rule(rule));
        }
    }
    for (host, docker) in &compiled.docker {
        line(&mut out, &format!("\n[docker {host}]"));
        for rule in docker.lines().iter().chain(&docker.nft_lines()) {
            line(&mut out, rule);
        }
    }
    out
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{}", text.trim_end()).expect("writing to a String cannot fail");
}

fn scope(out: &mut String, title: &str, scope: &PveScope) {
    let options = scope
        .options
        .iter()
        .map(|(key, value)| format!("{key}={value}"));
    line(
        out,
        &format!("\n[{title}] {}", options.collect::<Vec<_>>().join(" ")),
    );
    for (name, alias) in &scope.aliases {
        line(out, &format!("alias {name} {}", alias.cidr));
    }
    for (name, set) in &scope.ipsets {
        let members = set.members.iter().map(|(member, nomatch)| {
            let not = if *nomatch { "!" } else { "" };
            format!("{not}{member}")
        });
        line(
            out,
            &format!("ipset {name} = {}", members.collect::<Vec<_>>().join(" ")),
        );
    }
    for rule in &scope.rules.rules {
        line(out, &pve_rule(rule));
    }
}

fn pve_rule(rule: &PveRule) -> String {
    let kind = match rule.kind {
        PveRuleKind::In => "IN",
        PveRuleKind::Out => "OUT",
        PveRuleKind::Forward => "FORWARD",
        PveRuleKind::Group => "GROUP",
    };
    assert!(rule.enable);
    let mut out = format!("{kind} {}", rule.action);
    for (flag, value) in [
        ("-source", &rule.source),
        ("-dest", &rule.dest),
        ("-p", &rule.proto),
        ("-dport", &rule.dport),
        ("-icmp-type", &rule.icmp_type),
        ("-log", &rule.log),
        ("#", &rule.comment),
    ] {
        if let Some(value) = value {
            write!(out, " {flag} {value}").expect("writing to a String cannot fail");
        }
    }
    out
}

fn ufw_rule(rule: &UfwRule) -> String {
    let action = format!("{:?}", rule.action).to_lowercase();
    let direction = match rule.direction {
        UfwDirection::In => "",
        UfwDirection::Out => "out ",
        UfwDirection::Route => "route ",
    };
    let network = |net: Option<ipnet::IpNet>| net.map_or("any".to_owned(), |net| net.to_string());
    let ports: Vec<String> = rule.ports.iter().map(ToString::to_string).collect();
    let proto = rule
        .proto
        .map(|proto| format!("/{proto}"))
        .unwrap_or_default();
    let log = rule
        .log
        .as_ref()
        .map(|log| format!("{log} "))
        .unwrap_or_default();
    let interface = rule.interface.as_ref();
    let interface = interface.map_or_else(String::new, |name| format!("on {name} "));
    format!(
        "{action} {direction}{interface}{log}from {} to {} {}{proto} # {}",
        network(rule.from),
        network(rule.to),
        ports.join(","),
        rule.comment.as_deref().unwrap_or("-")
    )
}

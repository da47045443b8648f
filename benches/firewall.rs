//! 50 zones, 200 guests, 2,000 flows: compiled and analysed in less than a second.

#![expect(
    clippy::print_stdout,
    reason = "a measurement: it takes the time and prints it"
)]

#[path = "../tests/firewall/system.rs"]
mod system;

use infra::firewall::{Matrix, Strangers, analysis, compile, diff_pve, diff_ufw};
use std::{fmt::Write as _, process::ExitCode, time::Instant};

const ZONES: usize = 50;
const GUESTS: usize = 200;
const FLOWS: usize = 2000;
/// What the project promises, for compilation and analysis together.
const LIMIT_MS: u128 = 1000;

fn text(flows: usize) -> String {
    let mut out = String::new();
    for zone in 0..ZONES {
        let _ = writeln!(out, "zone z{zone} 10.{zone}.0.0/16 fd00:{zone:x}::/64");
    }
    out.push_str("set operators 10.0.0.5\noperators operators\nnode pve 10.0.0.10\n");
    for guest in 0..GUESTS {
        let (zone, host) = (guest % ZONES, 20 + guest / ZONES);
        let _ = writeln!(
            out,
            "guest g{guest} {} z{zone}=10.{zone}.0.{host}/16,fd00:{zone:x}::{host:x}/64",
            1000 + guest
        );
        let _ = writeln!(out, "stack s{guest} g{guest} 443/tcp 8000-8009/tcp");
    }
    // Deterministic and spread out: a small multiplicative generator is enough here.
    let mut state = 1_usize;
    let mut next = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for number in 0..flows {
        let from = match number % 4 {
            0 => "internet".to_owned(),
            1 => format!("g{}", next(GUESTS)),
            2 => format!("z{}", next(ZONES)),
            _ => format!("z{},g{}", next(ZONES), next(GUESTS)),
        };
        let to = match number % 5 {
            0 => format!("z{}", next(ZONES)),
            _ => format!("g{}", next(GUESTS)),
        };
        let port = match number % 3 {
            0 => "443/tcp".to_owned(),
            1 => format!("{}/tcp", 8000 + next(10)),
            _ => format!("{}/udp", 2000 + next(400)),
        };
        let _ = writeln!(out, "flow {from} > {to} : {port} | why {number}");
    }
    for zone in 0..ZONES {
        let _ = writeln!(out, "never internet > z{zone} : 5432/tcp | stays inside");
    }
    out
}

fn main() -> ExitCode {
    let desired = system::system(&text(FLOWS));
    let start = Instant::now();
    let (compiled, found) = compile(&desired);
    let compiling = start.elapsed();
    let wrong = analysis::verify(&desired, &compiled);
    let all = start.elapsed();
    let rules = |scope: &infra::model::firewall::PveRules| scope.rules.len();
    let pve: usize = compiled
        .pve
        .guests
        .values()
        .map(|scope| rules(&scope.rules))
        .sum();
    let groups: usize = compiled
        .pve
        .groups
        .values()
        .map(|group| rules(&group.rules))
        .sum();
    let ufw: usize = compiled.ufw.values().map(|ufw| ufw.rules.len()).sum();
    let docker: usize = compiled
        .docker
        .values()
        .map(|d| d.v4.len() + d.v6.len())
        .sum();
    println!(
        "{ZONES} zones, {GUESTS} guests, {FLOWS} flows, {} rows",
        Matrix::of(&desired).rows().len()
    );
    println!(
        "rules: {} Proxmox, {ufw} UFW, {docker} Docker; {} diagnostics",
        pve + groups,
        found.len()
    );
    println!(
        "compile and lint {compiling:?}, with the analysis of every layer {all:?} (limit {LIMIT_MS} ms)"
    );

    // One flow less: who is touched.
    let mut less = desired.clone();
    let gone = less
        .flows
        .iter()
        .rposition(|flow| flow.to.len() == 1 && flow.from.len() == 1);
    less.flows.remove(gone.unwrap_or(0));
    let (after, _) = compile(&less);
    let steps = diff_pve(&compiled.pve, &after.pve, |_| Strangers::Remove).steps;
    let hosts = after.ufw.iter().filter(|(host, ufw)| {
        let before = compiled.ufw.get(*host);
        !diff_ufw(before, ufw, Strangers::Remove).steps.is_empty()
    });
    let hosts = hosts.count();
    println!(
        "one flow less: {} writes to Proxmox, UFW of {hosts} of {GUESTS} guests",
        steps.len()
    );
    if !wrong.is_empty() {
        println!("the layers do not agree: {}", wrong[0].summary);
        return ExitCode::FAILURE;
    }
    if all.as_millis() < LIMIT_MS {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

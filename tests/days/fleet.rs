//! Many stacks on several hosts: what a look at them costs, and what a change of one file touches.

use crate::lab::{Lab, Ran};
use serde_json::Value;
use std::{fmt::Write as _, fs};

const HOSTS: usize = 5;
const STACKS: usize = 40;

const HEAD: &str = "version: 1
name: fleet
proxmox:
  endpoint: https://pve:8006
  token: {id: infra@pve!infra, secret: token}
  tls: {fingerprint: \"FINGERPRINT\"}
secrets: {token: {env: TOKEN}}
nodes: {pve: {address: 192.168.1.10}}
zones:
  lan: {cidrs: [192.168.1.0/24], bridge: vmbr0}
sets: {admins: [192.168.1.100/32]}
operators: admins
services: {https: 443/tcp}
flows:
  - {from: lan, to: internet, allow: https, reason: images}
";

const COMPOSE: &str = "services:
  web:
    image: docker.io/library/nginx:1.29.0
    restart: always
    volumes: [./site.conf:/etc/nginx/conf.d/site.conf:ro]
";

fn inventory() -> String {
    let mut text = HEAD.replace("FINGERPRINT", &["AB"; 32].join(":"));
    text.push_str("hosts:\n");
    for host in 1..=HOSTS {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  h{host}: {{address: 192.168.1.{}}}", 30 + host);
    }
    text.push_str("stacks:\n");
    for stack in 0..STACKS {
        let template = if stack == 0 { "own" } else { "web" };
        let host = stack % HOSTS + 1;
        let _ = writeln!(text, "  app{stack}: {{on: h{host}, template: {template}}}");
    }
    text
}

fn execs(report: &Value, host: usize) -> u64 {
    let found = &report["visits"][format!("h{host}")]["execs"];
    found.as_u64().expect("counted")
}

#[test]
fn forty_stacks_on_five_hosts_cost_one_exec_a_host() {
    let lab = Lab::of("fleet", &inventory());
    let folder = lab.path("inventory/fleet/templates");
    for name in ["web", "own"] {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).expect("made");
        for (file, text) in [
            ("stack.yaml", "description: A web server.\n"),
            ("compose.yaml", COMPOSE),
            ("site.conf", "# {{ stack }}\n"),
        ] {
            fs::write(folder.join(file), text).expect("written");
        }
    }
    lab.begin_lab();
    lab.up().says(0, &["Done."]);
    let before = lab.report();
    let plan = |args: &[&str]| -> Ran {
        lab.run(&[&["--lab", "stack", "plan", "--exit-code"], args].concat())
    };
    plan(&[]).says(0, &["Nothing to change"]);
    let after = lab.report();
    for host in 1..=HOSTS {
        assert_eq!(execs(&after, host) - execs(&before, host), 1, "h{host}");
    }
    fs::write(folder.join("own/site.conf"), "# {{ stack }} is another\n").expect("written");
    plan(&[]).says(4, &["app0: site.conf", "1 change on"]);
    plan(&["app1", "app2"]).says(0, &["Nothing to change"]);
}

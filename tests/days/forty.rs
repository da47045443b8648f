//! Forty stacks on five hosts of a scripted lab, up and settled.

use crate::lab::Lab;
use std::{fmt::Write as _, fs};

pub(crate) const HOSTS: usize = 5;
pub(crate) const STACKS: usize = 40;

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

/// The folder of the stacks' templates.
pub(crate) const TEMPLATES: &str = "inventory/fleet/templates";

/// The lab with all of them up.
pub(crate) fn running() -> Lab {
    let lab = Lab::of("fleet", &inventory());
    let folder = lab.path(TEMPLATES);
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
    lab
}

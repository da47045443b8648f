//! What the scripts print -> facts. Pure.

use crate::model::facts::{ContainerFact, DockerFacts};
use serde::Deserialize;
use std::{collections::BTreeMap, fmt};

/// What staging had to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Staged {
    /// Files that were not there.
    pub new: Vec<String>,
    /// Files that stood there with other content.
    pub changed: Vec<String>,
}

/// An image that is on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PulledImage {
    /// Reference as in the compose file.
    pub reference: String,
    /// Image id (`sha256:...`).
    pub id: String,
}

/// How a stack is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Every service is well.
    Healthy,
    /// These are not.
    Ailing(Vec<Ailing>),
}

/// A service that is not well.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ailing {
    /// Compose service.
    pub service: String,
    /// Container, empty when there is none.
    pub container: String,
    /// `running`, `exited`, `restarting`, `created`, `missing` ...
    pub state: String,
    /// Exit code, where it ended.
    pub exit_code: Option<i64>,
    /// What is wrong with it.
    pub reason: String,
    /// Gone wrong, in contrast to not yet well.
    pub is_failed: bool,
    /// The last lines it wrote, then what its healthcheck last said. Secrets are names.
    pub log: Vec<String>,
}

impl fmt::Display for Ailing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.service, self.reason)?;
        for line in &self.log {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}

/// Reads what [`super::FACTS`] printed. None when Docker is absent or its engine does not answer.
///
/// # Errors
/// What was expected and is not there.
pub fn parse_facts(text: &str) -> Result<Option<DockerFacts>, String> {
    let mut facts = DockerFacts {
        firewall_backend: "iptables".to_owned(),
        ..DockerFacts::default()
    };
    let mut ended = false;
    for line in text.lines() {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("absent", "") => return Ok(None),
            ("version", version) => version.trim().clone_into(&mut facts.version),
            ("firewall", driver) => driver.trim().clone_into(&mut facts.firewall_backend),
            ("container", json) => facts.containers.push(container(json)?),
            ("failed", _) => return Err("containers came and went while they were read".to_owned()),
            ("end", "") => ended = true,
            (_, _) => return Err(format!("the line `{line}` about Docker is unknown")),
        }
    }
    if !ended {
        return Err("the facts about Docker end early".to_owned());
    }
    facts.containers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((!facts.version.is_empty()).then_some(facts))
}

/// Reads what [`super::script::FILES`] printed.
pub(super) fn files(mut bytes: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let mut out = BTreeMap::new();
    loop {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (line, rest) = bytes.split_at(end.ok_or("the files end early")?);
        let line = String::from_utf8_lossy(line);
        if line == "end" {
            return Ok(out);
        }
        let record = line
            .strip_prefix("file ")
            .and_then(|record| record.split_once(' '))
            .and_then(|(count, path)| Some((count.parse::<usize>().ok()?, path)));
        let (count, path) = record.ok_or_else(|| format!("`{line}` is no file"))?;
        let (text, rest) = rest[1..]
            .split_at_checked(count)
            .ok_or("a file ends early")?;
        out.insert(path.to_owned(), String::from_utf8_lossy(text).into_owned());
        bytes = rest;
    }
}

/// A container as the template of the facts script prints it; a label that is not there is an empty text.
#[derive(Deserialize)]
struct Row {
    name: String,
    project: String,
    service: String,
    release: String,
    system: String,
    image: String,
    image_id: String,
    state: String,
    health: String,
    exit_code: i64,
    restarts: u64,
    started_at: String,
}

fn container(json: &str) -> Result<ContainerFact, String> {
    let row: Row = serde_json::from_str(json)
        .map_err(|error| format!("a container is not readable: {error}"))?;
    let label = |text: String| (!text.is_empty()).then_some(text);
    Ok(ContainerFact {
        name: row.name.trim_start_matches('/').to_owned(),
        project: row.project,
        service: row.service,
        release: label(row.release),
        system: label(row.system),
        image: row.image,
        image_id: row.image_id,
        state: row.state,
        health: row.health,
        exit_code: row.exit_code,
        restarts: row.restarts,
        started_at: row.started_at,
    })
}

pub(super) fn staged(text: &str) -> Staged {
    Staged {
        new: values(text, "new "),
        changed: values(text, "changed "),
    }
}

/// The rest of every line that begins so.
pub(super) fn values(text: &str, head: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix(head))
        .map(str::to_owned)
        .collect()
}

pub(super) fn images(text: &str) -> Vec<PulledImage> {
    values(text, "image ")
        .iter()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some(PulledImage {
                reference: words.next()?.to_owned(),
                id: words.next()?.to_owned(),
            })
        })
        .collect()
}

pub(super) fn previous(text: &str) -> Option<String> {
    values(text, "previous ")
        .into_iter()
        .find(|id| !id.trim().is_empty())
}

/// Reads what the health script printed, whatever its exit code.
pub(super) fn health(text: &str) -> Result<Health, String> {
    let mut ailing: Vec<Ailing> = Vec::new();
    for line in text.lines() {
        let (kind, rest) = line.split_once('|').unwrap_or((line, ""));
        match kind {
            "healthy" => return Ok(Health::Healthy),
            "bad" | "wait" => ailing.push(service(rest, kind == "bad")?),
            "log" | "health" => {
                let last = ailing
                    .last_mut()
                    .ok_or("a log line belongs to no service")?;
                last.log.push(said(kind, rest));
            }
            _ => return Err(format!("the line `{line}` about health is unknown")),
        }
    }
    if ailing.is_empty() {
        return Err("neither healthy nor anything that is not".to_owned());
    }
    // What went wrong before what had no time yet.
    ailing.sort_by_key(|service| !service.is_failed);
    Ok(Health::Ailing(ailing))
}

fn said(kind: &str, rest: &str) -> String {
    if kind == "log" {
        return rest.to_owned();
    }
    let output: String = serde_json::from_str(rest).unwrap_or_else(|_| rest.to_owned());
    format!("healthcheck: {}", output.trim())
}

fn service(row: &str, is_failed: bool) -> Result<Ailing, String> {
    let fields: Vec<&str> = row.splitn(7, '|').collect();
    let [
        service,
        container,
        state,
        _health,
        exit_code,
        _restarts,
        reason,
    ] = fields.as_slice()
    else {
        return Err(format!(
            "the line `{row}` about a service has not seven fields"
        ));
    };
    Ok(Ailing {
        service: (*service).to_owned(),
        container: container.trim_start_matches('/').to_owned(),
        state: (*state).to_owned(),
        exit_code: exit_code.parse().ok(),
        reason: (*reason).to_owned(),
        is_failed,
        log: vec![],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by the scripts under Docker 26.1.5 and compose 2.26.1 of Debian 13.
    macro_rules! captured {
        ($name:literal) => {
            include_str!(concat!("../../../tests/compose/", $name, ".txt"))
        };
    }

    #[test]
    fn containers_are_read() {
        let facts = parse_facts(captured!("facts"))
            .expect("readable")
            .expect("running");
        assert_eq!(facts.version, "26.1.5+dfsg1");
        assert_eq!(facts.firewall_backend, "iptables");
        let shown: Vec<String> = facts
            .containers
            .iter()
            .map(|c| {
                format!(
                    "{} {}/{} {:?} {:?} {} {}:{} exit={} restarts={}",
                    c.name,
                    c.project,
                    c.service,
                    c.system,
                    c.release,
                    c.image,
                    c.state,
                    c.health,
                    c.exit_code,
                    c.restarts
                )
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        demo-loop-1 demo/loop Some("home") Some("l5") docker.io/test/tiny:1 restarting: exit=7 restarts=5
        demo-once-1 demo/once Some("home") Some("o5") docker.io/test/tiny:1 exited: exit=0 restarts=0
        demo-side-1 demo/side Some("home") Some("s5") docker.io/test/tiny:1 running: exit=0 restarts=0
        demo-web-1 demo/web Some("home") Some("w5") docker.io/test/tiny:1 running:healthy exit=0 restarts=0
        "#);
        assert!(
            facts
                .containers
                .iter()
                .all(|c| c.image_id.starts_with("sha256:") && c.started_at.starts_with("20"))
        );
    }

    #[test]
    fn files_are_read_by_their_length() {
        let found = files(b"file 6 a.conf\nx\nend\nfile 0 b/c\nend\n").expect("readable");
        assert_eq!(found["a.conf"], "x\nend\n");
        assert_eq!(found["b/c"], "");
        assert!(files(b"file 9 a\nx\nend\n").is_err() && files(b"file 1 a\nx").is_err());
    }

    #[test]
    fn docker_may_be_absent_stopped_or_idle() {
        assert_eq!(parse_facts(captured!("facts-absent")), Ok(None));
        assert_eq!(parse_facts(captured!("facts-stopped")), Ok(None));
        let idle = parse_facts(captured!("facts-empty"))
            .expect("readable")
            .expect("running");
        assert!(idle.containers.is_empty());
    }

    #[test]
    fn facts_that_end_early_are_an_error() {
        let whole = captured!("facts");
        let cut = whole.strip_suffix("end\n").expect("ends so");
        assert!(parse_facts(cut).is_err());
        assert!(parse_facts(&format!("{cut}failed\nend\n")).is_err());
        assert!(parse_facts("container {}\nend\n").is_err());
        assert!(parse_facts("").is_err());
    }

    #[test]
    fn a_newer_engine_names_its_firewall() {
        let facts = parse_facts("version 29.0.0\nfirewall nftables\nend\n").expect("readable");
        assert_eq!(facts.expect("running").firewall_backend, "nftables");
        let facts = parse_facts("version 28.5.1\nfirewall iptables+firewalld\nend\n");
        let facts = facts.expect("readable").expect("running");
        assert_eq!(facts.firewall_backend, "iptables+firewalld");
    }

    #[test]
    fn what_ails_a_service_comes_with_its_log() {
        let shown = |text: &str| match health(text).expect("readable") {
            Health::Healthy => "healthy".to_owned(),
            Health::Ailing(services) => {
                let shown: Vec<String> = services.iter().map(ToString::to_string).collect();
                shown.join("\n")
            }
        };
        insta::assert_snapshot!(shown(captured!("health-bad")), @r"
        once: it ended with exit code 3
            migrating with hunter2
        absent: no container
        side: it has been up for less than 3 s
        web: its healthcheck has not passed
        ");
        insta::assert_snapshot!(shown(captured!("health-loop")), @r"
        loop: it ends with exit code 7 and is started again and again
            cannot open /data
            cannot open /data
            cannot open /data
            cannot open /data
            cannot open /data
        ");
        insta::assert_snapshot!(shown(captured!("health-unhealthy")), @r"
        web: its healthcheck fails
            healthcheck: no answer from 127.0.0.1:81
        side: it has been up for less than 3 s
        ");
        insta::assert_snapshot!(shown(captured!("health-settle")), @r"
        web: its healthcheck fails
            healthcheck: no answer from 127.0.0.1:81
        side: it has been up for less than 3000 s
        ");
        assert_eq!(health("healthy\n"), Ok(Health::Healthy));
        assert!(health("").is_err());
        assert!(health("log|x\n").is_err());
    }
}

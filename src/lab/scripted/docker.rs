//! Docker's images and containers, and what compose would make of a release's files.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

/// Labels by which compose and infra know their containers.
const PROJECT: &str = "com.docker.compose.project";

/// A container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) project: String,
    pub(super) service: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) image: String,
    pub(super) image_id: String,
    pub(super) state: &'static str,
    pub(super) exit_code: i64,
    has_healthcheck: bool,
    /// Its own healthcheck fails.
    is_sick: bool,
    /// Hash of the service as compose sees it.
    config: String,
    started_at: String,
    /// The service whose network it is in.
    network_of: Option<String>,
    restarts_by_itself: bool,
}

/// Images and containers.
#[derive(Debug, Default)]
pub(super) struct Docker {
    pub(super) images: BTreeMap<String, String>,
    pub(super) containers: BTreeMap<String, Container>,
    /// A fault: no registry can be reached.
    pub(super) is_cut_off: bool,
    /// A fault: services whose healthcheck fails.
    pub(super) sick: BTreeSet<String>,
}

/// A compose project as its files say it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Project {
    services: BTreeMap<String, Value>,
}

impl Project {
    /// Reads compose files, later ones over earlier ones.
    pub(super) fn read(texts: &[String]) -> Result<Self, String> {
        let mut services: BTreeMap<String, Value> = BTreeMap::new();
        for text in texts {
            let document: Value =
                serde_saphyr::from_str(text).map_err(|error| format!("yaml: {error}"))?;
            let found = document["services"]
                .as_object()
                .ok_or("services must be a mapping")?;
            for (name, service) in found {
                merge(services.entry(name.clone()).or_insert(Value::Null), service);
            }
        }
        for (name, service) in &services {
            if service["image"].as_str().is_none() && service["build"].is_null() {
                return Err(format!(
                    "service \"{name}\" has neither an image nor a build context specified"
                ));
            }
        }
        Ok(Self { services })
    }

    #[cfg(test)]
    fn images(&self) -> BTreeSet<&str> {
        let images = self.services.values();
        images
            .filter_map(|service| service["image"].as_str())
            .collect()
    }
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => into.clone_from(from),
    }
}

/// `key: value` or `- key=value`.
fn labels(value: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), text(value)))
            .collect(),
        Value::Array(list) => list
            .iter()
            .filter_map(|entry| entry.as_str()?.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => BTreeMap::new(),
    }
}

/// A command, or a healthcheck, that is `false` and nothing else: what fails here.
fn runs_false(value: &Value) -> bool {
    match value {
        Value::String(word) => word == "false",
        Value::Array(words) => words.last().and_then(Value::as_str) == Some("false"),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

/// What an image is made for. Names follow Docker's own: `arm64v8/nginx` is for that machine.
pub(super) fn platform(reference: &str) -> &'static str {
    if reference.contains("/arm64v8/") {
        "linux/arm64"
    } else {
        "linux/amd64"
    }
}

pub(super) fn digest(text: &str) -> String {
    format!("sha256:{:x}", Sha256::digest(text))
}

impl Docker {
    /// Every reference exists but those of hosts that cannot (`.invalid`, RFC 2606).
    pub(super) fn pull(&mut self, reference: &str) -> Result<(), String> {
        let host = reference.split('/').next().unwrap_or("");
        let host = host.split(':').next().unwrap_or("");
        if host.ends_with(".invalid") {
            return Err(format!(
                "Error response from daemon: Get \"https://{host}/v2/\": dial tcp: lookup {host}: no such host"
            ));
        }
        if self.is_cut_off && !self.images.contains_key(reference) {
            return Err(format!(
                "Error response from daemon: Get \"https://{host}/v2/\": net/http: TLS handshake timeout"
            ));
        }
        self.images
            .entry(reference.to_owned())
            .or_insert_with(|| digest(reference));
        Ok(())
    }

    /// What a tag stands for, as its registry says.
    pub(super) fn tag(&self, reference: &str) -> Result<String, String> {
        let mut there = Self {
            is_cut_off: self.is_cut_off,
            ..Self::default()
        };
        there.pull(reference)?;
        Ok(digest(&format!("manifest of {reference}")))
    }

    /// Containers that start again by themselves, as at a boot.
    pub(super) fn start_engine(&mut self) {
        for container in self
            .containers
            .values_mut()
            .filter(|c| c.restarts_by_itself)
        {
            container.state = "running";
        }
    }

    /// `docker compose up`: makes what is missing or changed or to be made anew, removes orphans.
    pub(super) fn up(
        &mut self,
        name: &str,
        project: &Project,
        anew: &[String],
        now: &str,
    ) -> Result<(), String> {
        let wanted = &project.services;
        self.containers.retain(|_, c| {
            let is_ours = c.labels.contains_key("infra.stack");
            c.project != name || !is_ours || wanted.contains_key(&c.service)
        });
        for (service, config) in wanted {
            let image = config["image"].as_str().unwrap_or_default();
            let image_id = self.images.get(image).cloned();
            let image_id = image_id.ok_or(format!(
                "Error response from daemon: No such image: {image}"
            ))?;
            let container_name = config["container_name"]
                .as_str()
                .map_or_else(|| format!("{name}-{service}-1"), str::to_owned);
            let hash = digest(&config.to_string());
            let old = self.containers.get(&container_name);
            let is_same = old.is_some_and(|old| old.config == hash && old.image_id == image_id);
            if let (true, false, Some(old)) = (
                is_same,
                anew.contains(service),
                self.containers.get_mut(&container_name),
            ) {
                if old.state == "exited" && old.restarts_by_itself {
                    old.state = "running";
                    now.clone_into(&mut old.started_at);
                }
                continue;
            }
            let mut labels = labels(&config["labels"]);
            labels.insert(PROJECT.to_owned(), name.to_owned());
            let restarts_by_itself =
                !matches!(config["restart"].as_str(), None | Some("no" | "on-failure"));
            let check = &config["healthcheck"];
            let fails = runs_false(&config["command"]);
            let network = config["network_mode"]
                .as_str()
                .and_then(|mode| mode.strip_prefix("service:"));
            let container = Container {
                project: name.to_owned(),
                service: service.clone(),
                labels,
                image: image.to_owned(),
                image_id,
                state: match (fails, restarts_by_itself) {
                    (true, true) => "restarting",
                    (false, true) => "running",
                    (_, false) => "exited",
                },
                exit_code: i64::from(fails),
                is_sick: runs_false(&check["test"]),
                has_healthcheck: check.is_object() && check["disable"] != Value::Bool(true),
                config: hash,
                started_at: now.to_owned(),
                network_of: network.map(str::to_owned),
                restarts_by_itself,
            };
            self.containers.insert(container_name, container);
        }
        Ok(())
    }

    /// Services whose container is in the network of one that was started later.
    pub(super) fn orphaned(&self, project: &str) -> Vec<String> {
        let of_project = || self.containers.values().filter(|c| c.project == project);
        of_project()
            .filter(|child| {
                of_project().any(|parent| {
                    Some(&parent.service) == child.network_of.as_ref()
                        && parent.started_at > child.started_at
                })
            })
            .map(|child| child.service.clone())
            .collect()
    }

    /// Whether a service has a running container.
    pub(super) fn runs(&self, project: &str, service: &str) -> bool {
        self.containers
            .values()
            .any(|c| c.project == project && c.service == service && c.state == "running")
    }

    /// What `facts_docker` prints while the engine answers.
    pub(super) fn facts(&self) -> String {
        let mut out = String::from("version 26.1.5+dfsg1\n");
        for (name, container) in self
            .containers
            .iter()
            .filter(|(_, c)| c.labels.contains_key(PROJECT))
        {
            let label = |key: &str| container.labels.get(key).cloned().unwrap_or_default();
            let row = serde_json::json!({
                "name": format!("/{name}"),
                "project": container.project,
                "service": container.service,
                "release": label("infra.release"),
                "system": label("infra.system"),
                "image": container.image,
                "image_id": container.image_id,
                "state": container.state,
                "health": self.health(container),
                "exit_code": container.exit_code,
                "restarts": 0,
                "started_at": container.started_at,
            });
            // Writing to a string does not fail.
            let _ = writeln!(out, "container {row}");
        }
        out.push_str("end\n");
        out
    }

    /// What `infra-stack-health` prints for services that are not well; nothing when all are.
    pub(super) fn ailing(&self, project: &str, services: &[String]) -> String {
        let mut out = String::new();
        let of_project: Vec<(&String, &Container)> = self
            .containers
            .iter()
            .filter(|(_, container)| container.project == project)
            .collect();
        for service in services {
            if !of_project.iter().any(|(_, c)| c.service == *service) {
                let _ = writeln!(out, "wait|{service}||missing||||no container");
            }
        }
        if services.is_empty() && of_project.is_empty() {
            out.push_str("wait|every service||missing||||no container\n");
        }
        // All of them count, as for the script: an older release is known by its containers alone.
        for (name, container) in of_project {
            let service = &container.service;
            let row = format!(
                "{service}|/{name}|{}|{}|{}|0",
                container.state,
                self.health(container),
                container.exit_code
            );
            match container.state {
                "running" if self.health(container) == "unhealthy" => {
                    let _ = writeln!(
                        out,
                        "bad|{row}|its healthcheck fails\nhealth|\"the fault of this lab\""
                    );
                }
                "running" => {}
                "restarting" => {
                    let code = container.exit_code;
                    let _ = writeln!(
                        out,
                        "bad|{row}|it ends with exit code {code} and is started again and again"
                    );
                }
                "exited" if container.restarts_by_itself => {
                    let _ = writeln!(out, "wait|{row}|it is stopped");
                }
                "exited" if container.exit_code == 0 => {}
                "exited" => {
                    let _ = writeln!(
                        out,
                        "bad|{row}|it ended with exit code {}",
                        container.exit_code
                    );
                }
                state => {
                    let _ = writeln!(out, "wait|{row}|it is {state}");
                }
            }
        }
        out
    }

    fn health(&self, container: &Container) -> &'static str {
        let is_meant = |sick: &String| match sick.split_once('@') {
            Some((service, text)) => container.service == service && container.image.contains(text),
            None => container.service == *sick,
        };
        let is_well =
            container.state == "running" && !container.is_sick && !self.sick.iter().any(is_meant);
        match (container.has_healthcheck, is_well) {
            (true, true) => "healthy",
            (true, false) => "unhealthy",
            (false, _) => "",
        }
    }

    /// `docker stop NAME` and `docker rm -f NAME`.
    pub(super) fn run(&mut self, words: &[&str]) -> Result<String, String> {
        match words {
            ["stop", name] => {
                let missing = || format!("Error response from daemon: No such container: {name}");
                let container = self.containers.get_mut(*name).ok_or_else(missing)?;
                container.state = "exited";
                container.exit_code = 143;
                Ok(format!("{name}\n"))
            }
            ["rm", "-f" | "--force", name] => match self.containers.remove(*name) {
                Some(_) => Ok(format!("{name}\n")),
                None => Err(format!(
                    "Error response from daemon: No such container: {name}"
                )),
            },
            ["pull", name] => self.pull(name).map(|()| format!("{name}\n")),
            ["ps", ..] => {
                let names: Vec<&str> = self.containers.keys().map(String::as_str).collect();
                Ok(names.join("\n") + "\n")
            }
            _ => Err("docker: unknown command".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "x-base: &base\n  restart: unless-stopped\nservices:\n  web:\n    <<: *base\n    image: docker.io/library/nginx:1\n  \
                        side:\n    <<: *base\n    image: ghcr.io/x/side:2\n    network_mode: service:web\n  job:\n    image: docker.io/library/job:1\n";
    const LABELS: &str = "services:\n  web: {labels: {infra.release: r1, infra.system: home}}\n";

    fn project(texts: &[&str]) -> Project {
        let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
        Project::read(&texts).expect("valid")
    }

    #[test]
    fn only_what_changed_is_made_anew() {
        let mut docker = Docker::default();
        let first = project(&[FILE, LABELS]);
        assert!(
            docker.up("s", &first, &[], "t1").is_err(),
            "nothing is pulled"
        );
        for image in first.images() {
            docker.pull(image).expect("pulled");
        }
        docker.up("s", &first, &[], "t1").expect("up");
        docker.up("s", &first, &[], "t2").expect("up");
        assert!(docker.containers.values().all(|c| c.started_at == "t1"));
        assert_eq!(docker.containers["s-job-1"].state, "exited");
        let second = project(&[FILE, &LABELS.replace("r1", "r2")]);
        docker.up("s", &second, &[], "t3").expect("up");
        assert_eq!(docker.containers["s-web-1"].started_at, "t3");
        assert_eq!(docker.orphaned("s"), ["side"]);
        let services = ["web", "side", "job"].map(str::to_owned);
        assert_eq!(docker.ailing("s", &services), "");
        docker.run(&["stop", "s-web-1"]).expect("stopped");
        assert!(
            docker
                .ailing("s", &services)
                .contains("wait|web|/s-web-1|exited||143|0|it is stopped")
        );
        assert!(docker.pull("registry.invalid/x:1").is_err());
    }
}

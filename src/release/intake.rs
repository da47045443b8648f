//! Somebody else's compose file: what it needs to become a template, as it is.

use super::{
    compose::{Compose, Entry, Texts, included, path_of},
    mounted, published,
};
use crate::diagnostic::Diagnostic;
use crate::model::address::Port;
use std::{collections::BTreeMap, net::IpAddr};

/// What a compose file says about its surroundings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Intake {
    /// Name of the project, where the file gives one.
    pub name: Option<String>,
    /// Ports on the host that are not on loopback.
    pub ports: Vec<IntakePort>,
    /// Relative paths inside the project's folder, each once.
    pub paths: BTreeMap<String, Use>,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntakePort {
    /// Compose service.
    pub service: String,
    /// Port on the host.
    pub port: Port,
    /// Address, when the file names one.
    pub address: Option<IpAddr>,
}

/// What a relative path is used for; the strongest use counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// Compose reads it: an included, extended, env, secret or config file.
    Read,
    /// Mounted read-only.
    Shown,
    /// Mounted, and may be written to.
    Written,
}

/// Reads a compose file with those of its files that are known already. What is new under `paths` may be a file that has to be
/// read too: ask again until nothing is.
///
/// # Errors
/// It is not YAML, or names no service.
pub fn intake(file: &str, text: &str, texts: &Texts) -> Result<Intake, Diagnostic> {
    let compose = Compose::parse(file, text, texts)?;
    let mut out = Intake {
        name: compose.name().map(str::to_owned),
        ..Intake::default()
    };
    let mut uses = |path: &str, kind: Use| {
        if let Some(path) = path_of(path).filter(|path| !path.is_empty()) {
            let entry = out.paths.entry(path).or_insert(kind);
            *entry = (*entry).max(kind);
        }
    };
    for text in texts.values().map(String::as_str).chain([text]) {
        for path in Compose::included_by(text) {
            uses(&path, Use::Read);
        }
    }
    for entry in compose.every_service() {
        for source in mounted::sources(&compose, entry) {
            let kind = match source.item {
                Some(item) if source.key == "volumes" => how(entry, item),
                Some(_) | None => Use::Read,
            };
            uses(&source.path, kind);
        }
        for item in entry.list("ports") {
            let Some(published) = published::parse(item) else {
                continue;
            };
            let is_local = published
                .address
                .is_some_and(|address| address.is_loopback());
            if let (Some(port), false) = (published.port, is_local)
                && entry.list("profiles").is_empty()
            {
                out.ports.push(IntakePort {
                    service: entry.name.to_owned(),
                    port,
                    address: published.address,
                });
            }
        }
    }
    Ok(out)
}

fn how(entry: Entry<'_>, item: usize) -> Use {
    let item = &entry.list("volumes")[item];
    let short = item.as_str().and_then(|text| text.splitn(3, ':').nth(2));
    let is_read_only = item.get("read_only").and_then(serde_json::Value::as_bool) == Some(true)
        || short.is_some_and(|options| options.split(',').any(|one| one == "ro"));
    if is_read_only {
        Use::Shown
    } else {
        Use::Written
    }
}

impl Compose {
    /// The paths that a document includes; none when it is not YAML.
    fn included_by(text: &str) -> Vec<String> {
        Self::document(text).map_or_else(|_| Vec::new(), |top| included(&top))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_a_project_needs_is_found() {
        let text = "name: media\ninclude: [./more.yml]\nservices:\n  web:\n    image: x:1\n    env_file: [web.env]\n    \
                    ports: [\"8080:80\", \"127.0.0.1:9:9\", \"192.168.1.5:53:53/udp\"]\n    volumes: [./conf:/etc/x:ro, ./data:/data, named:/n, /abs:/abs]\n    \
                    secrets: [key]\n  tool: {image: y:1, profiles: [tools], volumes: [\"./conf:/c\"], ports: [\"1:1\"]}\nsecrets: {key: {file: ./key.txt}}\n";
        let found = intake("compose.yaml", text, &Texts::new()).expect("readable");
        assert_eq!(found.name.as_deref(), Some("media"));
        let ports: Vec<String> = found
            .ports
            .iter()
            .map(|p| format!("{} {} {:?}", p.service, p.port, p.address))
            .collect();
        assert_eq!(ports, ["web 8080/tcp None", "web 53/udp Some(192.168.1.5)"]);
        let paths: Vec<(&str, Use)> = found
            .paths
            .iter()
            .map(|(path, kind)| (path.as_str(), *kind))
            .collect();
        assert_eq!(
            paths,
            [
                ("conf", Use::Written),
                ("data", Use::Written),
                ("key.txt", Use::Read),
                ("more.yml", Use::Read),
                ("web.env", Use::Read)
            ]
        );
    }
}

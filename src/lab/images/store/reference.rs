//! Names of images, as compose files write them and as registries hear them.

use std::fmt;

/// `docker.io/library/nginx:1.27`, written out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Registry as people name it: `docker.io`, not the host that answers for it.
    pub registry: String,
    /// `library/nginx`.
    pub repository: String,
    /// Tag, `latest` when none is written.
    pub tag: String,
    /// Digest that the content must have.
    pub digest: Option<Digest>,
}

impl Reference {
    /// Reads a reference as Docker does: a first part with a dot or a port, or `localhost`, is a registry; without one
    /// it is Docker Hub, whose own images live in `library/`. `None` when it is no reference.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(Digest::parse(digest)?)),
            None => (text, None),
        };
        let (first, rest) = name.split_once('/').unwrap_or(("", name));
        let names_registry = first.contains(['.', ':']) || first == "localhost";
        let (registry, path) = if names_registry {
            (first, rest)
        } else {
            (HUB, name)
        };
        let (repository, tag) = match path.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, tag),
            Some(_) | None => (path, "latest"),
        };
        let registry = registry_of(registry);
        let repository = if registry == HUB && !repository.contains('/') {
            format!("library/{repository}")
        } else {
            repository.to_owned()
        };
        (is_registry(registry) && is_repository(&repository) && is_tag(tag)).then(|| Self {
            registry: registry.to_owned(),
            repository,
            tag: tag.to_owned(),
            digest,
        })
    }

    /// Registry and repository, what all tags have in common.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.registry, self.repository, self.tag)?;
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

const HUB: &str = "docker.io";

/// The registry that a host answers for: Docker Hub has hosts of other names.
pub fn registry_of(host: &str) -> &str {
    match host {
        "registry-1.docker.io" | "index.docker.io" | "registry.hub.docker.com" => HUB,
        other => other,
    }
}

/// The host that a registry's images are pulled from.
pub fn host_of(registry: &str) -> &str {
    if registry == HUB {
        "registry-1.docker.io"
    } else {
        registry
    }
}

/// Whether this can be a registry: a host name, with or without a port.
pub fn is_registry(text: &str) -> bool {
    let (host, port) = text.split_once(':').unwrap_or((text, "443"));
    let is_label = |label: &str| {
        !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    host.split('.').all(is_label) && port.parse::<u16>().is_ok()
}

/// Whether this can be a repository's path: lower-case parts that begin with a letter or digit.
pub fn is_repository(text: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c))
    };
    text.split('/').all(is_part)
}

/// Whether this can be a tag.
pub fn is_tag(text: &str) -> bool {
    text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// The SHA-256 of some content, as `sha256:<hex>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest(String);

impl Digest {
    /// Reads `sha256:` and 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("sha256:")?;
        let is_hex = hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        is_hex.then(|| Self(hex.to_owned()))
    }

    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(format!(
            "{:x}",
            <sha2::Sha256 as sha2::Digest>::digest(bytes)
        ))
    }

    /// The digits alone.
    pub fn hex(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_written_out_as_docker_does() {
        let digest = "sha256:".to_owned() + &"0".repeat(64);
        for (written, meant) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1.27", "docker.io/library/nginx:1.27"),
            ("prom/prometheus:v3.5.0", "docker.io/prom/prometheus:v3.5.0"),
            ("docker.io/nginx:1", "docker.io/library/nginx:1"),
            (
                "index.docker.io/library/nginx:1",
                "docker.io/library/nginx:1",
            ),
            (
                "ghcr.io/immich-app/immich-server:v2.0.1",
                "ghcr.io/immich-app/immich-server:v2.0.1",
            ),
            ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
            ("localhost/a", "localhost/a:latest"),
        ] {
            let read = Reference::parse(written).expect(written);
            assert_eq!(read.to_string(), meant);
            let pinned = Reference::parse(&format!("{written}@{digest}")).expect(written);
            assert_eq!(pinned.to_string(), format!("{meant}@{digest}"));
        }
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for written in [
            "",
            "NGINX",
            "a//b",
            "a:",
            "../etc/passwd",
            "ghcr.io/../x:1",
            "a@sha256:12",
            "a:b:c/d",
            "a:../x",
        ] {
            assert_eq!(Reference::parse(written), None, "{written}");
        }
    }
}

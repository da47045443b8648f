//! What registries say about tags.

use serde::Deserialize;
use std::collections::BTreeMap;

/// What a tag stands for today, by reference, and the platform of the host that asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tags {
    /// `linux/amd64`.
    pub platform: String,
    /// What was found, or why nothing was.
    pub found: BTreeMap<String, Result<Tag, String>>,
}

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// `sha256:...`.
    pub digest: String,
    /// What it is made for; empty when the registry does not say.
    pub platforms: Vec<String>,
}

impl Tag {
    /// Whether a host of that platform can run it. An amd64 host runs 386, an arm64 one may run arm.
    pub fn runs_on(&self, platform: &str) -> bool {
        let also = match platform {
            "linux/amd64" => "linux/386",
            "linux/arm64" => "linux/arm",
            other => other,
        };
        self.platforms.is_empty()
            || self
                .platforms
                .iter()
                .any(|own| own == platform || own == also)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    descriptor: Option<Descriptor>,
    platforms: Option<Vec<Platform>>,
    #[serde(rename = "message")]
    message: Option<String>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
}

#[derive(Deserialize)]
struct Platform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
}

/// Reads what [`super::script::DIGESTS`] printed.
///
/// # Errors
/// What was expected and is not there.
pub(super) fn parse(text: &str) -> Result<Tags, String> {
    let mut out = Tags::default();
    let mut ended = false;
    for line in text.lines() {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("platform", platform) => platform.clone_into(&mut out.platform),
            ("answer", rest) => {
                let (image, json) = rest.split_once(' ').unwrap_or((rest, ""));
                out.found.insert(image.to_owned(), tag(json));
            }
            ("end", "") => ended = true,
            (_, _) => return Err(format!("the line `{line}` about a tag is unknown")),
        }
    }
    if ended {
        Ok(out)
    } else {
        Err("the answers end early".to_owned())
    }
}

fn tag(json: &str) -> Result<Tag, String> {
    let Ok(answer) = serde_json::from_str::<Answer>(json) else {
        return Err(if json.is_empty() {
            "no answer".to_owned()
        } else {
            json.to_owned()
        });
    };
    let Some(descriptor) = answer.descriptor else {
        return Err(answer.message.unwrap_or_else(|| json.to_owned()));
    };
    let platforms = answer.platforms.unwrap_or_default();
    let platforms = platforms
        .into_iter()
        // An attestation beside an image is for no machine.
        .filter(|platform| platform.os != "unknown" && !platform.os.is_empty())
        .map(|platform| format!("{}/{}", platform.os, platform.architecture))
        .collect();
    Ok(Tag {
        digest: descriptor.digest,
        platforms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shape of Docker's API reference, `/distribution/{name}/json`.
    #[test]
    fn a_tag_has_a_digest_and_platforms() {
        let text = "platform linux/arm64\n\
            answer docker.io/x/y:1 {\"Descriptor\":{\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"digest\":\"sha256:aa\",\"size\":9},\"Platforms\":[{\"architecture\":\"amd64\",\"os\":\"linux\"},{\"architecture\":\"unknown\",\"os\":\"unknown\"}]}\n\
            answer docker.io/x/z:1 {\"message\":\"manifest unknown\"}\n\
            answer docker.io/x/w:1 curl: (7) Couldn't connect\nend\n";
        let tags = parse(text).expect("readable");
        let y = tags.found["docker.io/x/y:1"].as_ref().expect("found");
        assert_eq!((y.digest.as_str(), y.platforms.len()), ("sha256:aa", 1));
        assert!(!y.runs_on(&tags.platform) && y.runs_on("linux/amd64"));
        assert_eq!(
            tags.found["docker.io/x/z:1"],
            Err("manifest unknown".to_owned())
        );
        assert!(tags.found["docker.io/x/w:1"].is_err());
        assert!(parse(text.strip_suffix("end\n").expect("ends so")).is_err());
    }
}

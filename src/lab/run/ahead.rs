//! The images that the inventory's stacks will pull, built while the rest of the lab comes up.

use super::{error::RunError, settings::Settings};
use crate::lab::images::{
    store::{Builder, Prepared, Reference},
    tls::Authority,
};
use crate::model::desired::Desired;
use std::collections::{BTreeMap, BTreeSet};
use tokio::task::JoinSet;

/// Begins to build what the stacks of `desired` name; it ends early when the result is dropped. A pull that comes first
/// waits for its own image alone, and one that fails here fails again, with its reason, when a guest pulls it.
///
/// # Errors
/// When the cache cannot be used.
pub(super) fn build_ahead(
    desired: &Desired,
    settings: &Settings,
    say: impl Fn(&str) + Copy + Send + 'static,
) -> Result<JoinSet<()>, RunError> {
    let authority = Authority::load_or_make(&settings.cache.join("authority"))?;
    let builder = Builder::new(&settings.cache.join("images"), None)?.trusting(authority.pem());
    let stacks = desired.stacks.values();
    let references: BTreeSet<Reference> = stacks
        .flat_map(|stack| {
            let texts: Vec<&str> = stack.files.iter().map(|file| file.text.as_str()).collect();
            wanted(&stack.images, &texts)
        })
        .collect();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut absent = Vec::new();
        let built = builder.prepare(references, |reference, image| match image {
            Prepared::Ready(_) => {}
            Prepared::Absent => absent.push(reference.to_string()),
        });
        match built.await {
            Ok(()) if absent.is_empty() => say("every image of the stacks can be pulled"),
            Ok(()) => say(&format!("no stand-in for {}", absent.join(", "))),
            Err(error) => say(&format!(
                "an image could not be built ahead: failed to {error}"
            )),
        }
    });
    Ok(tasks)
}

/// The references that a stack's files name, through the list of images or in full.
fn wanted(images: &BTreeMap<String, String>, texts: &[&str]) -> BTreeSet<Reference> {
    let listed = images
        .iter()
        .filter(|(name, _)| texts.iter().any(|text| names(text, name)))
        .map(|(_, reference)| reference.as_str());
    let written = texts
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| line.trim().strip_prefix("image:"))
        .map(|value| value.trim().trim_matches(['"', '\'']))
        .filter(|value| !value.contains("{{"));
    listed.chain(written).filter_map(Reference::parse).collect()
}

/// Whether a template says `images.<name>`, and not only the beginning of a longer name.
fn names(text: &str, name: &str) -> bool {
    let word = format!("images.{name}");
    text.match_indices(&word).any(|(at, _)| {
        let after = text[at + word.len()..].chars().next();
        !after.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(compose: &str) -> Vec<String> {
        let images = [("app", "app:1"), ("app_worker", "app-worker:1")];
        let images = images.map(|(name, image)| (name.to_owned(), image.to_owned()));
        let found = wanted(&images.into(), &[compose]);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_what_a_stack_names_is_built() {
        assert_eq!(
            found("image: {{ images.app }}"),
            ["docker.io/library/app:1"]
        );
        assert_eq!(
            found("image: {{images.app_worker}}"),
            ["docker.io/library/app-worker:1"]
        );
        assert_eq!(found("image: \"ghcr.io/a/b:2\"\n"), ["ghcr.io/a/b:2"]);
        assert_eq!(found("command: [images.apple]"), [""; 0]);
    }
}

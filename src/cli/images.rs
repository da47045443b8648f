//! `infra images`: what guests are made from, and what of it is pinned.

use super::{
    context::Context,
    exit,
    failure::{Failure, failed},
    live,
    session::Session,
};
use crate::inventory::{IMAGE_LOCK, ImageLock, Pin};
use crate::model::image::{Checksum, Download, Image, ImageSource};
use crate::providers::shell::{Command, Shell as _};
use clap::Subcommand;
use std::{collections::BTreeMap, time::Duration};

/// Runs on a node: who downloads the images asks for their checksums.
const FETCH: &str = include_str!("fetch-checksums.sh");
/// Files of checksums beside an image, best first.
const SUMS: [(&str, &str, usize); 2] =
    [("SHA512SUMS", "sha512", 128), ("SHA256SUMS", "sha256", 64)];

/// Look at images, pin their checksums.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ImagesVerb {
    /// List the images of the inventory and where they are
    List,
    /// Pin the checksums that stand beside the images today; guests that exist stay as they are
    Refresh,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &ImagesVerb) -> Result<u8, Failure> {
    match verb {
        ImagesVerb::List => live::with(context, |session| Box::pin(list(context, session))),
        ImagesVerb::Refresh => live::with(context, |session| Box::pin(refresh(context, session))),
    }
}

async fn list(context: &Context, session: Session) -> Result<u8, Failure> {
    let observed = session.look().await;
    let seen = observed.proxmox.as_ref().and_then(|reading| reading.seen());
    let mut rows = Vec::new();
    for image in session.desired.images.values() {
        let mut on = Vec::new();
        for node in session.desired.nodes.values() {
            let Some(volume) = image.volume(&node.import_storage) else {
                continue;
            };
            let live = seen.and_then(|seen| seen.nodes.get(&node.name));
            let is_there = live.is_some_and(|live| {
                live.storages
                    .values()
                    .any(|storage| storage.volumes.contains_key(&volume))
            });
            if is_there {
                on.push(format!("{} {volume}", node.name));
            }
        }
        let users: Vec<&str> = session
            .desired
            .guests
            .values()
            .filter(|guest| guest.image == image.name)
            .map(|guest| guest.name.as_str())
            .collect();
        rows.push((image, source(image), pinned(image), on, users.join(", ")));
    }
    if context.global.json {
        let rows: Vec<_> = rows
            .iter()
            .map(|(image, source, pinned, on, _)| {
                serde_json::json!({"name": image.name, "source": source, "checksum": pinned, "volumes": on, "template": image.template})
            })
            .collect();
        context
            .terminal
            .json(&serde_json::json!({ "images": rows }));
        return Ok(exit::DONE);
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
    table.set_header(["image", "from", "checksum", "is on", "guests"]);
    for (image, source, pinned, on, users) in rows {
        let pinned = pinned.map_or_else(
            || "not pinned".to_owned(),
            |sum| sum.chars().take(19).collect(),
        );
        table.add_row([image.name.to_string(), source, pinned, on.join("\n"), users]);
    }
    context.terminal.answer(&format!("{table}\n"));
    Ok(exit::DONE)
}

fn source(image: &Image) -> String {
    match &image.source {
        ImageSource::Download(download) => download.url.clone(),
        ImageSource::Upload { path, .. } => path.clone(),
        ImageSource::Volume(volume) => volume.clone(),
        ImageSource::Template => "template".to_owned(),
    }
}

fn pinned(image: &Image) -> Option<String> {
    let checksum = match &image.source {
        ImageSource::Download(download) => download.checksum.as_ref(),
        ImageSource::Upload { checksum, .. } => checksum.as_ref(),
        ImageSource::Volume(_) | ImageSource::Template => None,
    };
    checksum.map(|sum| format!("{}:{}", sum.algorithm, sum.hex))
}

async fn refresh(context: &Context, session: Session) -> Result<u8, Failure> {
    if session.lab {
        return Err(
            Failure::new(exit::USAGE, "the lab serves images of its own")
                .hint("Pin the real ones without `--lab`."),
        );
    }
    let path = session.world.folder.join(IMAGE_LOCK);
    let mut lock = match std::fs::read_to_string(&path) {
        Ok(text) => ImageLock::parse(&text).map_err(|why| Failure::new(exit::INVALID, why))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => ImageLock::default(),
        Err(error) => return Err(Failure::of(exit::FAILED, &error)),
    };
    let mut said = BTreeMap::new();
    for image in session.desired.images.values() {
        let ImageSource::Download(download) = &image.source else {
            continue;
        };
        let name = image.name.as_str();
        let old = lock.pin(name, &download.url).cloned();
        if old.is_none() && download.checksum.is_some() {
            said.insert(
                name.to_owned(),
                "the inventory says its checksum".to_owned(),
            );
            continue;
        }
        let new = published(&session, download).await?;
        let told = match &old {
            Some(old) if *old == new => "unchanged".to_owned(),
            Some(_) => {
                "moved: new guests are made from the new one, guests that exist stay as they are"
                    .to_owned()
            }
            None => format!("pinned to {}:{}...", new.algorithm, &new.hex[..12]),
        };
        said.insert(name.to_owned(), told);
        if old.as_ref() != Some(&new) {
            let pin = Pin {
                url: download.url.clone(),
                checksum: new,
                since: jiff::Timestamp::now()
                    .strftime("%Y-%m-%dT%H:%M:%SZ")
                    .to_string(),
            };
            lock.images.insert(name.to_owned(), pin);
        }
    }
    std::fs::write(&path, lock.print()).map_err(|error| {
        Failure::of(exit::FAILED, &error).hint(format!("It is {}.", path.display()))
    })?;
    if context.global.json {
        context
            .terminal
            .json(&serde_json::json!({ "images": said }));
    } else {
        let lines: Vec<String> = said
            .iter()
            .map(|(name, told)| format!("{name}: {told}\n"))
            .collect();
        context.terminal.answer(&lines.concat());
    }
    Ok(exit::DONE)
}

/// The checksum that stands beside an image, asked for by the node that would download it.
async fn published(session: &Session, download: &Download) -> Result<Checksum, Failure> {
    let (folder, file) = download
        .url
        .rsplit_once('/')
        .ok_or_else(|| Failure::new(exit::INVALID, "the image's URL has no folder"))?;
    let node = session.desired.nodes.keys().next();
    let shell = node
        .and_then(|node| session.hosts.get(node))
        .ok_or_else(|| Failure::new(exit::USAGE, "there is no node to ask"))?;
    let urls: Vec<String> = SUMS
        .iter()
        .map(|(sums, ..)| format!("{folder}/{sums}"))
        .collect();
    let command = Command::script("infra-fetch-checksums", FETCH)
        .args(&urls)
        .timeout(Duration::from_mins(3));
    let output = shell.run(command).await.map_err(|error| failed(&error))?;
    if !output.is_success() {
        return Err(Failure::new(
            exit::UNREACHABLE,
            format!("no checksums stand beside {}", download.url),
        )
        .because(output.complaint())
        .hint("Write the checksum into the inventory: `checksum: \"sha256:...\"`."));
    }
    find(&output.text(), file).ok_or_else(|| {
        Failure::new(
            exit::FAILED,
            format!("the checksums beside {} do not name it", download.url),
        )
        .hint("Write the checksum into the inventory: `checksum: \"sha256:...\"`.")
    })
}

/// The line of a file in the output of `sha512sum` or `sha256sum`.
fn find(text: &str, file: &str) -> Option<Checksum> {
    text.lines().find_map(|line| {
        let (hex, name) = line.split_once(char::is_whitespace)?;
        let name = name
            .trim_start()
            .trim_start_matches('*')
            .trim_start_matches("./");
        let is_hex = hex.bytes().all(|b| b.is_ascii_hexdigit());
        let (_, algorithm, _) = SUMS.iter().find(|(.., length)| hex.len() == *length)?;
        (name == file && is_hex).then(|| Checksum {
            algorithm: (*algorithm).to_owned(),
            hex: hex.to_ascii_lowercase(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines printed by coreutils 9.1, of an empty file and in both modes.
    #[test]
    fn a_checksum_is_found_by_its_file() {
        let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  debian-13.raw\n\
                    e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 *debian-13.qcow2\n";
        let found = find(text, "debian-13.qcow2").expect("named");
        assert_eq!(found.algorithm, "sha256");
        assert_eq!(&found.hex[..6], "e3b0c4");
        assert_eq!(find(text, "13.qcow2"), None);
        assert_eq!(
            find("not a checksum  debian-13.qcow2\n", "debian-13.qcow2"),
            None
        );
    }
}

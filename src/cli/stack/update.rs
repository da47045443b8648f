//! `infra stack update`: which tags stand for other images than when they were locked.

use super::choice::{chosen, told};
use crate::cli::{context::Context, exit, failure::Failure, live, session::Session};
use crate::inventory::{ContainerPin, ImageLock};
use crate::model::ids::HostName;
use crate::providers::compose::{Compose, ComposeRead as _, Tags};
use crate::view::palette;
use clap::Args;
use futures_util::future::join_all;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// Ask the registries which images have moved, and lock the digests of today in `images.lock`
///
/// Nothing is deployed and nothing is pulled: the next plan shows which services another digest touches. An image that is not
/// made for the machine of its host is not locked. The lab has a lock of its own.
#[derive(Debug, Clone, Args)]
pub(crate) struct UpdateArgs {
    /// Only the images of these stacks
    #[arg(value_name = "STACK")]
    pub(crate) stacks: Vec<String>,
    /// Show, and leave the lock as it is
    #[arg(long)]
    pub(crate) plan: bool,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &UpdateArgs) -> Result<u8, Failure> {
    live::with(context, |session| {
        Box::pin(async move { update(context, args, &session).await })
    })
}

/// Asks, and changes nothing.
pub(crate) async fn look(context: &Context, session: &Session) -> Result<u8, Failure> {
    let args = UpdateArgs {
        stacks: Vec::new(),
        plan: true,
    };
    update(context, &args, session).await
}

/// Locks the images of today for these stacks.
pub(crate) async fn relock(
    context: &Context,
    session: &Session,
    stacks: &[String],
) -> Result<u8, Failure> {
    let args = UpdateArgs {
        stacks: stacks.to_vec(),
        plan: false,
    };
    update(context, &args, session).await
}

/// Whether an image of these stacks has moved since it was locked.
pub(crate) async fn moved(
    context: &Context,
    session: &Session,
    stacks: &[String],
) -> Result<bool, Failure> {
    if stacks.is_empty() {
        return Ok(false);
    }
    let args = UpdateArgs {
        stacks: stacks.to_vec(),
        plan: true,
    };
    let (terminal, record) = crate::view::Terminal::recording();
    let mut asking = context.in_folder(&session.world.folder);
    asking.terminal = terminal;
    asking.global.json = true;
    asking.global.on = None;
    update(&asking, &args, session).await?;
    let answer: serde_json::Value = serde_json::from_str(&record.take_answers())
        .map_err(|error| crate::cli::failure::failed(&error))?;
    let rows = answer["images"].as_array().cloned().unwrap_or_default();
    Ok(rows
        .iter()
        .any(|row| matches!(row["result"].as_str(), Some("moved" | "locked"))))
}

/// The lock of this environment.
pub(crate) fn lock(session: &Session) -> Result<ImageLock, Failure> {
    read(&session.images_lock)
}

/// Writes it.
pub(crate) fn write_lock(session: &Session, lock: &ImageLock) -> Result<(), Failure> {
    write(&session.images_lock, lock)
}

/// What became of one tag.
struct Row {
    image: String,
    told: &'static str,
    digest: Option<String>,
    before: Option<String>,
    why: Option<String>,
}

async fn update(context: &Context, args: &UpdateArgs, session: &Session) -> Result<u8, Failure> {
    let names = chosen(context, &session.desired, &args.stacks)?;
    let mut wanted: BTreeMap<HostName, BTreeSet<String>> = BTreeMap::new();
    for name in &names {
        if let Some(release) = session.compiled.releases.get(name) {
            let images = release.images.iter().filter_map(|image| tag_of(image));
            wanted
                .entry(release.host.clone())
                .or_default()
                .extend(images);
        }
    }
    let mut lock = read(&session.images_lock)?;
    let answers = join_all(
        wanted
            .iter()
            .map(|(host, images)| ask(session, host, images)),
    )
    .await;
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let now = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    for answer in answers {
        let tags = answer?;
        for (image, found) in &tags.found {
            let before = lock.containers.get(image).map(|pin| pin.digest.clone());
            let row = match found {
                Err(why) => Row::failed(image, "not found", before, why.clone()),
                Ok(tag) if !tag.runs_on(&tags.platform) => {
                    let why = format!(
                        "it is made for {}, and the host is {}",
                        tag.platforms.join(", "),
                        tags.platform
                    );
                    Row::failed(image, "not for this machine", before, why)
                }
                Ok(tag) => Row {
                    image: image.clone(),
                    told: match &before {
                        None => "locked",
                        Some(old) if *old == tag.digest => "unchanged",
                        Some(_) => "moved",
                    },
                    digest: Some(tag.digest.clone()),
                    before,
                    why: None,
                },
            };
            // Two hosts may run the same image: one for which it is not made counts more.
            let is_worse = rows.get(image).is_none_or(|other| other.why.is_none());
            if is_worse {
                rows.insert(image.clone(), row);
            }
        }
    }
    for row in rows.values().filter(|row| row.told != "unchanged") {
        if let Some(digest) = &row.digest {
            let pin = ContainerPin {
                digest: digest.clone(),
                since: now.clone(),
            };
            lock.containers.insert(row.image.clone(), pin);
        }
    }
    let changed = rows
        .values()
        .any(|row| matches!(row.told, "locked" | "moved"));
    if changed && !args.plan {
        write(&session.images_lock, &lock)?;
    }
    show(context, args, session, &rows, changed);
    let failed = rows.values().any(|row| row.why.is_some());
    Ok(if failed { exit::FAILED } else { exit::DONE })
}

impl Row {
    fn failed(image: &str, told: &'static str, before: Option<String>, why: String) -> Self {
        Self {
            image: image.to_owned(),
            told,
            digest: None,
            before,
            why: Some(why),
        }
    }
}

/// The reference as the template has it. One that the owner wrote with a digest stands for itself.
fn tag_of(image: &str) -> Option<String> {
    let (tag, digest) = image.split_once('@').unwrap_or((image, ""));
    let last = tag.rsplit('/').next().unwrap_or_default();
    (digest.is_empty() || last.contains(':')).then(|| tag.to_owned())
}

async fn ask(
    session: &Session,
    host: &HostName,
    images: &BTreeSet<String>,
) -> Result<Tags, Failure> {
    let shell = session.hosts.get(host).ok_or_else(|| {
        Failure::new(
            exit::UNREACHABLE,
            format!("the inventory gives no shell access to {host}"),
        )
    })?;
    let images: Vec<String> = images.iter().cloned().collect();
    Compose::new(shell)
        .tags(&images)
        .await
        .map_err(|error| told(&error))
}

fn read(path: &Path) -> Result<ImageLock, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => ImageLock::parse(&text).map_err(|why| {
            Failure::new(
                exit::INVALID,
                format!("{} cannot be read: {why}", path.display()),
            )
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(ImageLock::default()),
        Err(error) => Err(Failure::of(exit::FAILED, &error)),
    }
}

fn write(path: &Path, lock: &ImageLock) -> Result<(), Failure> {
    let partial = path.with_extension("partial");
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| std::fs::write(&partial, lock.print()))
        .and_then(|()| std::fs::rename(&partial, path))
        .map_err(|error| {
            Failure::of(exit::FAILED, &error).hint(format!("It is {}.", path.display()))
        })
}

fn show(
    context: &Context,
    args: &UpdateArgs,
    session: &Session,
    rows: &BTreeMap<String, Row>,
    changed: bool,
) {
    if context.global.json {
        let rows: Vec<_> = rows
            .values()
            .map(|row| {
                serde_json::json!({
                    "image": row.image, "result": row.told, "digest": row.digest, "before": row.before, "why": row.why,
                })
            })
            .collect();
        context.terminal.json(&serde_json::json!({
            "images": rows, "lock": session.images_lock, "written": changed && !args.plan,
        }));
        return;
    }
    let short = |digest: &Option<String>| {
        digest
            .as_deref()
            .map(|text| text.chars().take(19).collect::<String>())
            .unwrap_or_default()
    };
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
    table.set_header(["image", "", "locked before", "today"]);
    for row in rows.values() {
        let told = match (row.told, &row.why) {
            (told, Some(_)) => palette::bad(told),
            ("moved", None) => palette::warn("moved"),
            (told, None) => told.to_owned(),
        };
        table.add_row([
            row.image.clone(),
            told,
            short(&row.before),
            row.why.clone().unwrap_or_else(|| short(&row.digest)),
        ]);
    }
    context.terminal.answer(&format!("{table}\n"));
    let place = session.images_lock.display();
    let again = context.again("stack plan");
    context.terminal.tell(&match (changed, args.plan) {
        (false, _) => "The lock is as it was.".to_owned(),
        (true, true) => format!("{place} was left as it is."),
        (true, false) => format!("{place} is written. See what that touches: `{again}`."),
    });
}

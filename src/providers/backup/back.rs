//! What is done on hosts when something comes back.

use super::{error::BackupError, trees::PATIENCE};
use crate::model::{
    backup::{Database, Export, ExportOf},
    ids::StackName,
};
use crate::providers::shell::{Command, Output, Shell};

/// Names of the scripts. Their texts say what they read and how they end.
const ASIDE_SCRIPT: &str = "infra-backup-aside";
const COMPARE_SCRIPT: &str = "infra-backup-compare";
const LOAD_SCRIPT: &str = "infra-backup-load";
const TIDY_SCRIPT: &str = "infra-backup-tidy";

const ASIDE: &str = include_str!("scripts/aside.sh");
const COMPARE: &str = include_str!("scripts/compare.sh");
const LOAD: &str = include_str!("scripts/load.sh");
const TIDY: &str = include_str!("scripts/tidy.sh");

/// How loading ends when the live database is changed and not whole.
const CHANGED: i32 = 79;

/// Where a dump is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Into {
    /// In the place of the live database; what was there is kept.
    Live,
    /// In a throw-away container without any network.
    Scratch,
}

/// A dump that was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Tables or keys.
    pub items: u64,
    /// Rows, where they are counted.
    pub rows: Option<u64>,
    /// Assertions that hold.
    pub held: u64,
    /// Where the former data is.
    pub kept: Option<String>,
}

/// What a comparison came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Compared {
    /// Files that came back.
    pub files: u64,
    /// Those whose live ones nobody has touched since, alike to the last byte.
    pub alike: u64,
    /// Those that have changed or gone since.
    pub changed: u64,
    /// Some that are live and untouched, and did not come back.
    pub missing: Vec<String>,
    /// Some whose content differs.
    pub differ: Vec<String>,
}

/// What the copy says of a dump.
#[derive(Debug, Clone, Default)]
pub struct Facts<'a> {
    /// Rows.
    pub rows: Option<u64>,
    /// Extensions of a Postgres.
    pub extensions: &'a [String],
}

fn load_command(
    stack: &StackName,
    database: &Database,
    dump: &str,
    into: Into,
    stamp: &str,
    facts: &Facts<'_>,
) -> Command {
    let mode = match into {
        Into::Live => "live",
        Into::Scratch => "drill",
    };
    let rows = facts
        .rows
        .map_or_else(|| "-".to_owned(), |rows| rows.to_string());
    let extensions = if facts.extensions.is_empty() {
        "-".to_owned()
    } else {
        facts.extensions.join(",")
    };
    let mut asked = database.assertions.join("\n");
    asked.push('\n');
    Command::script(LOAD_SCRIPT, LOAD)
        .args([
            mode,
            stack.as_str(),
            &database.service,
            database.engine.word(),
        ])
        .args([database.name.as_str(), &database.user])
        .args([
            database.password_file.as_deref().unwrap_or_default(),
            dump,
            stamp,
        ])
        .args([rows, extensions])
        .stdin(asked)
        .timeout(PATIENCE)
}

/// Loads a dump that lies on its stack's host.
///
/// # Errors
/// Whatever keeps it from being whole, and from being in its place.
pub async fn load<S: Shell>(
    shell: &S,
    stack: &StackName,
    database: &Database,
    dump: &str,
    into: Into,
    stamp: &str,
    facts: &Facts<'_>,
) -> Result<Loaded, BackupError> {
    let output = shell
        .run(load_command(stack, database, dump, into, stamp, facts))
        .await?;
    let failed = |why: String| BackupError::Load {
        what: format!("{stack}/{} ({})", database.service, database.engine),
        host: shell.host().to_string(),
        why,
    };
    if output.code == CHANGED {
        return Err(BackupError::Half {
            what: format!("{stack}/{} ({})", database.service, database.engine),
            why: said(&output),
        });
    }
    if !output.is_success() {
        return Err(failed(said(&output)));
    }
    let text = output.text();
    loaded(&text).ok_or_else(|| failed(format!("it answered `{}`", text.trim())))
}

fn said(output: &Output) -> String {
    let said = output.complaint();
    if said.trim().is_empty() {
        format!("it ended with exit {}", output.code)
    } else {
        said
    }
}

fn loaded(text: &str) -> Option<Loaded> {
    let mut words = text.lines().last()?.strip_prefix("loaded ")?.splitn(4, ' ');
    let items = words.next()?.parse().ok()?;
    let rows = match words.next()? {
        "-" => None,
        rows => Some(rows.parse().ok()?),
    };
    let held = words.next()?.parse().ok()?;
    let kept = words.next()?.trim();
    Some(Loaded {
        items,
        rows,
        held,
        kept: Some(kept.to_owned()).filter(|kept| kept != "-"),
    })
}

/// Whether an export can be put back by infra: a tar of paths can.
pub fn is_tar(export: &Export) -> bool {
    matches!(export.what, ExportOf::Paths(_))
}

/// Unpacks an export over its host's root. Its former paths have been moved aside.
///
/// # Errors
/// The way to the host, or tar's.
pub async fn unpack<S: Shell>(shell: &S, tar: &str) -> Result<(), BackupError> {
    let command = Command::new([
        "tar",
        "--extract",
        "--file",
        tar,
        "--directory=/",
        "--numeric-owner",
        "--acls",
        "--xattrs",
        "--preserve-permissions",
    ]);
    shell.demand(command.timeout(PATIENCE)).await?;
    Ok(())
}

/// Moves what lives at a path aside; where it is then, none when there was nothing.
///
/// # Errors
/// The way to the host, or a name that is taken.
pub async fn aside<S: Shell>(
    shell: &S,
    path: &str,
    stamp: &str,
) -> Result<Option<String>, BackupError> {
    let command = Command::script(ASIDE_SCRIPT, ASIDE).args([path, stamp]);
    let text = shell.demand(command.timeout(PATIENCE)).await?.text();
    Ok(Some(text.trim().to_owned()).filter(|kept| kept != "-"))
}

/// Undoes [`aside`].
///
/// # Errors
/// The way to the host.
pub async fn aside_back<S: Shell>(shell: &S, path: &str, stamp: &str) -> Result<(), BackupError> {
    let command = Command::script(ASIDE_SCRIPT, ASIDE).args([path, stamp, "back"]);
    shell.demand(command.timeout(PATIENCE)).await?;
    Ok(())
}

/// Every path in a directory of a host, those of its own filesystem, relative to it.
///
/// # Errors
/// The way to the host.
pub async fn present<S: Shell>(shell: &S, path: &str) -> Result<Vec<String>, BackupError> {
    let command = Command::new(["find", path, "-xdev", "-mindepth", "1", "-printf", "%P\\0"]);
    let output = shell.demand(command.timeout(PATIENCE)).await?;
    Ok(output
        .stdout
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty())
        // What is no UTF-8 is not compared, and stays.
        .filter_map(|path| String::from_utf8(path.to_vec()).ok())
        .filter(|path| path != ".zfs" && !path.starts_with(".zfs/"))
        .collect())
}

/// Removes paths in a directory, which are given deepest first.
///
/// # Errors
/// The way to the host.
pub async fn tidy<S: Shell>(shell: &S, path: &str, extra: &[String]) -> Result<(), BackupError> {
    if extra.is_empty() {
        return Ok(());
    }
    let mut input = Vec::new();
    for one in extra {
        input.extend_from_slice(format!("{}\n{one}", one.len()).as_bytes());
    }
    let command = Command::script(TIDY_SCRIPT, TIDY).args([path]).stdin(input);
    shell.demand(command.timeout(PATIENCE)).await?;
    Ok(())
}

/// Compares what came back with what lives.
///
/// # Errors
/// The way to the host, or an answer that makes no sense.
pub async fn compare<S: Shell>(
    shell: &S,
    back: &str,
    live: &str,
    moment: i64,
    excludes: &[String],
) -> Result<Compared, BackupError> {
    let command = Command::script(COMPARE_SCRIPT, COMPARE)
        .args([back, live, &moment.to_string()])
        .args(excludes)
        .timeout(PATIENCE);
    let text = shell.demand(command).await?.text();
    compared(&text).ok_or_else(|| BackupError::Garbled {
        program: COMPARE_SCRIPT.to_owned(),
        why: text,
    })
}

fn compared(text: &str) -> Option<Compared> {
    let mut lines = text.lines();
    let numbers: Vec<u64> = lines
        .next()?
        .strip_prefix("compared ")?
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    let [files, alike, changed] = numbers.as_slice() else {
        return None;
    };
    let mut out = Compared {
        files: *files,
        alike: *alike,
        changed: *changed,
        ..Compared::default()
    };
    for line in lines {
        if let Some(path) = line.strip_prefix("missing ") {
            out.missing.push(path.to_owned());
        } else if let Some(path) = line.strip_prefix("differs ") {
            out.differ.push(path.to_owned());
        }
    }
    Some(out)
}

#[cfg(test)]
mod parsing {
    use super::*;

    #[test]
    fn answers_of_the_scripts_are_read() {
        let one = loaded("loaded 12 1000000 2 immich_before_20261130T1\n").expect("loaded");
        assert_eq!((one.items, one.rows, one.held), (12, Some(1_000_000), 2));
        assert_eq!(one.kept.as_deref(), Some("immich_before_20261130T1"));
        assert_eq!(loaded("loaded 3 - 0 -").expect("loaded").kept, None);
        assert_eq!(loaded("loaded"), None);
        let found = compared("compared 3 1 1\nmissing ./a\ndiffers ./b\n").expect("compared");
        assert_eq!(
            (found.files, found.missing.len(), found.differ.len()),
            (3, 1, 1)
        );
        assert_eq!(compared("compared 3 x 1"), None);
    }
}

//! Dumps of databases and exports, in their own containers.

use super::{error::BackupError, trees::PATIENCE};
use crate::model::{
    backup::{Database, Export, ExportOf},
    ids::StackName,
};
use crate::providers::shell::{Command, Shell};

/// Name of the script that dumps a database.
const DUMP_SCRIPT: &str = "infra-backup-dump";
/// Name of the script that makes an export.
const EXPORT_SCRIPT: &str = "infra-backup-export";
/// Name of the script that takes a file from another host.
const RECEIVE_SCRIPT: &str = "infra-backup-receive";

const DUMP: &str = include_str!("scripts/dump.sh");
const EXPORT: &str = include_str!("scripts/export.sh");
const RECEIVE: &str = include_str!("scripts/receive.sh");

/// A dump or an export that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dumped {
    /// Tables, keys or files.
    pub items: u64,
    /// Rows, where they are counted.
    pub rows: Option<u64>,
    /// Size.
    pub bytes: u64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// Extensions with their versions, `vector=0.8.0`.
    pub extensions: Vec<String>,
    /// Version of the server.
    pub version: String,
}

/// Dumps a database into a file of its host.
///
/// # Errors
/// Whatever keeps the dump from being whole.
pub async fn dump<S: Shell>(
    shell: &S,
    stack: &StackName,
    database: &Database,
    path: &str,
) -> Result<Dumped, BackupError> {
    let command = Command::script(DUMP_SCRIPT, DUMP)
        .args([stack.as_str(), &database.service, database.engine.word()])
        .args([database.name.as_str(), &database.user])
        .args([database.password_file.as_deref().unwrap_or_default(), path])
        .timeout(PATIENCE);
    let what = format!("{stack}/{} ({})", database.service, database.engine);
    made(shell, command, &what).await
}

/// The command of an export.
fn command(stack: &StackName, export: &Export, path: &str) -> Command {
    let command = Command::script(EXPORT_SCRIPT, EXPORT).args([path]);
    match &export.what {
        ExportOf::Command { service, argv } => {
            command.args([stack.as_str(), service]).args(argv.clone())
        }
        ExportOf::Paths(paths) => command.args(["-"]).args(paths.clone()),
    }
    .timeout(PATIENCE)
}

/// Makes an export in a file of its host.
///
/// # Errors
/// Whatever keeps it from being whole.
pub async fn export<S: Shell>(
    shell: &S,
    stack: &StackName,
    export: &Export,
    path: &str,
) -> Result<Dumped, BackupError> {
    let what = format!("{stack}/{}", export.name);
    made(shell, command(stack, export, path), &what).await
}

async fn made<S: Shell>(shell: &S, command: Command, what: &str) -> Result<Dumped, BackupError> {
    let output = shell.run(command).await?;
    let failed = |why: String| BackupError::Dump {
        what: what.to_owned(),
        host: shell.host().to_string(),
        why,
    };
    if !output.is_success() {
        let said = output.complaint();
        let why = if said.trim().is_empty() {
            format!("it ended with exit {}", output.code)
        } else {
            said
        };
        return Err(failed(why));
    }
    let text = output.text();
    parse(&text).ok_or_else(|| failed(format!("it answered `{}`", text.trim())))
}

fn parse(text: &str) -> Option<Dumped> {
    let mut words = text.lines().last()?.strip_prefix("dump ")?.splitn(6, ' ');
    let items = words.next()?.parse().ok()?;
    let rows = words.next()?;
    let rows = match rows {
        "-" => None,
        number => Some(number.parse().ok()?),
    };
    let bytes = words.next()?.parse().ok().filter(|bytes| *bytes > 0)?;
    let sha256 = words.next()?.to_owned();
    let extensions = match words.next()? {
        "-" => Vec::new(),
        list => list.split(',').map(str::to_owned).collect(),
    };
    let version = words.next().unwrap_or_default().trim().to_owned();
    let is_hash = sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit());
    is_hash.then_some(Dumped {
        items,
        rows,
        bytes,
        sha256,
        extensions,
        version,
    })
}

/// The command that sends a file of a host.
pub fn hash_and_send(path: &str) -> Command {
    Command::new(["cat", "--", path]).timeout(PATIENCE)
}

/// The command that takes it on another one; it must have this hash.
pub fn receive(path: &str, sha256: &str) -> Command {
    Command::script(RECEIVE_SCRIPT, RECEIVE)
        .args([path, sha256])
        .timeout(PATIENCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_bytes_or_hash_is_no_dump() {
        let hash = "a".repeat(64);
        let good = parse(&format!(
            "dump 12 1000000 4096 {hash} vector=0.8.0 17.6 (Debian 17.6-0+deb13u1)\n"
        ));
        let good = good.expect("a dump");
        assert_eq!(
            (good.items, good.rows, good.bytes),
            (12, Some(1_000_000), 4096)
        );
        assert_eq!(good.extensions, ["vector=0.8.0"]);
        assert_eq!(good.version, "17.6 (Debian 17.6-0+deb13u1)");
        for bad in [
            "",
            "dump",
            &format!("dump 12 - 0 {hash} - 17"),
            "dump 12 - 10 abc - 17",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}

//! Keys of logins: the one kind of file that can lock its writer out.

use super::walk::StepFailure;
use crate::providers::{
    host::{FileWrite, HostWrite as _},
    shell::{Command, Shell as _},
    ssh::SshHost,
};

/// Whether the file says who may log in.
pub(super) fn is_login(path: &str) -> bool {
    path.ends_with("/.ssh/authorized_keys")
}

/// Who may log in now; none when it cannot be read.
pub(super) async fn login_before(shell: &SshHost, path: &str) -> Option<Vec<u8>> {
    let read = shell.demand(Command::new(["cat", "--", path])).await;
    read.ok().map(|output| output.stdout)
}

/// A NEW connection with the new keys. When it is refused, the old ones are put back through the one that is still open.
pub(super) async fn prove_login(
    shell: &SshHost,
    file: &FileWrite,
    before: Option<Vec<u8>>,
) -> Result<(), StepFailure> {
    let fresh = SshHost::new(shell.target().clone());
    let Err(error) = fresh.demand(Command::new(["true"])).await else {
        return Ok(());
    };
    let mut failure = StepFailure::from(error);
    let Some(bytes) = before else {
        return Err(failure);
    };
    let old = FileWrite {
        bytes,
        ..file.clone()
    };
    shell.write_files(&[old]).await?;
    failure.why = format!(
        "with the keys of the inventory a new connection is refused, so those of before are back in {}\n  because: {}",
        file.path, failure.why
    );
    failure.hint =
        Some("Add the key that you log in with to `authorized_keys` in the inventory.".to_owned());
    Err(failure)
}

//! The lab's certificate authority in a root, as `update-ca-certificates` would put it there.

use super::{error::NamespaceError, files};
use std::path::Path;

const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

/// Adds a certificate (PEM) to the writable layer over a root: as a local one and in the bundle.
///
/// # Errors
/// When the disk refuses.
pub(super) fn install(root: &Path, upper: &Path, pem: &str) -> Result<(), NamespaceError> {
    let mut bundle = files::read(&root.join(BUNDLE))?.unwrap_or_default();
    bundle.push_str(pem.trim_end());
    bundle.push('\n');
    files::write(&upper.join(BUNDLE), bundle.as_bytes(), 0o644)?;
    files::write(
        &upper.join("usr/local/share/ca-certificates/infra-lab.crt"),
        pem.as_bytes(),
        0o644,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundle_keeps_what_it_had() {
        let folder = tempfile::tempdir().expect("folder");
        let (root, upper) = (folder.path().join("root"), folder.path().join("upper"));
        files::write(&root.join(BUNDLE), b"PUBLIC\n", 0o644).expect("written");
        install(&root, &upper, "OURS\n\n").expect("installed");
        let bundle = files::read(&upper.join(BUNDLE)).expect("read");
        assert_eq!(bundle.as_deref(), Some("PUBLIC\nOURS\n"));
    }
}

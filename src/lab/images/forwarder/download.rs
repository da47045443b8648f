//! One download that many requests follow while it grows.

use super::slot::Slot;
use axum::body::Bytes;
use futures_util::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use std::{
    io::{self, SeekFrom},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
    sync::watch,
};

/// How far a download is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    /// The mirror has not answered yet.
    Asking,
    /// Bytes arrive.
    Growing {
        /// Bytes on disk.
        written: u64,
        /// Size, when the mirror told it.
        total: Option<u64>,
    },
    /// All is in the cache.
    Whole {
        /// Size.
        size: u64,
    },
    /// The mirror answered with another status than 200.
    Refused(u16),
    /// The mirror could not be reached, or broke off, or sent something else than promised.
    Failed(String),
}

/// A download as its followers see it.
#[derive(Debug, Clone)]
pub(super) struct Download {
    /// The file that grows; renamed to the slot's file when it is whole.
    pub(super) partial: PathBuf,
    /// How far it is.
    pub(super) progress: watch::Receiver<Progress>,
}

/// Saves an answer of a mirror into the slot, telling how far it is.
///
/// # Errors
/// The text that followers are told. Nothing is left in the cache.
pub(super) async fn save(
    response: reqwest::Response,
    slot: &Slot,
    partial: NamedTempFile,
    progress: &watch::Sender<Progress>,
) -> Result<u64, String> {
    let total = response.content_length();
    let mut file = File::from_std(partial.reopen().map_err(text)?);
    let mut hash = slot
        .promised_sha256()
        .map(|promised| (promised, Sha256::new()));
    let mut written = 0;
    progress.send_replace(Progress::Growing { written, total });
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| told(&error))?;
        file.write_all(&chunk).await.map_err(text)?;
        file.flush().await.map_err(text)?;
        if let Some((_, hash)) = &mut hash {
            hash.update(&chunk);
        }
        written += chunk.len() as u64;
        // The last byte of a file with a promised hash waits for the verdict, so nobody takes a wrong one for whole.
        let announced = written - u64::from(hash.is_some());
        progress.send_replace(Progress::Growing {
            written: announced,
            total,
        });
    }
    if total.is_some_and(|total| total != written) {
        return Err(format!("the mirror broke off after {written} bytes"));
    }
    if let Some((promised, hash)) = hash {
        let found = format!("{:x}", hash.finalize());
        if found != promised {
            return Err(format!("the mirror sent {found} under the name {promised}"));
        }
    }
    let folder = slot.file.parent().unwrap_or(Path::new("/"));
    tokio::fs::create_dir_all(folder).await.map_err(text)?;
    partial.persist(&slot.file).map_err(text)?;
    Ok(written)
}

/// The bytes from `first` to `last` (or to the end) of a download, as they arrive.
pub(super) async fn follow(
    download: Download,
    slot: &Slot,
    first: u64,
    last: Option<u64>,
) -> io::Result<impl Stream<Item = io::Result<Bytes>> + use<>> {
    let mut file = match File::open(&download.partial).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => File::open(&slot.file).await?,
        opened => opened?,
    };
    file.seek(SeekFrom::Start(first)).await?;
    let left = last.map_or(u64::MAX, |last| (last + 1).saturating_sub(first));
    let state = (file, download.progress, first, left);
    Ok(futures_util::stream::try_unfold(
        state,
        |(mut file, mut progress, at, left)| async move {
            if left == 0 {
                return Ok(None);
            }
            loop {
                let (there, whole) = match &*progress.borrow_and_update() {
                    Progress::Growing { written, .. } => (*written, false),
                    Progress::Whole { size } => (*size, true),
                    Progress::Failed(why) => return Err(io::Error::other(why.clone())),
                    Progress::Asking | Progress::Refused(_) => (0, false),
                };
                if there > at {
                    let length = (there - at).min(left).min(256 * 1024);
                    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
                    file.read_exact(&mut bytes).await?;
                    let next = (file, progress, at + length, left - length);
                    return Ok(Some((Bytes::from(bytes), next)));
                }
                if whole {
                    return Ok(None);
                }
                if progress.changed().await.is_err() {
                    return Err(io::Error::other("the download was given up"));
                }
            }
        },
    ))
}

fn text(error: impl std::error::Error) -> String {
    told(&error)
}

/// An error with all its causes: reqwest's own text hides the one that tells.
pub(super) fn told(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !out.contains(&cause_text) {
            out = format!("{out}: {cause_text}");
        }
        source = cause.source();
    }
    out
}

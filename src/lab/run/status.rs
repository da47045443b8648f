//! Whether a lab is up.

use super::{
    error::{RunError, failed},
    process::Process,
};
use crate::lab::{folder::LabFolder, namespace, state::LabState};
use std::{fs, io};

/// How a lab is.
#[derive(Debug, Clone, PartialEq)]
pub enum Status {
    /// Ready for use.
    Up(Box<LabState>),
    /// Its process runs and is not ready yet, or is taking it down.
    Busy {
        /// The process.
        pid: u32,
    },
    /// Its process is gone and things of it are still on the machine; [`super::down`] removes them.
    Dead {
        /// What is left, one line each.
        remains: Vec<String>,
    },
    /// Not there.
    Down,
}

/// Looks whether a lab is up.
///
/// # Errors
/// When its files or the machine cannot be read.
pub fn status(folder: &LabFolder) -> Result<Status, RunError> {
    let path = folder.state();
    let text = match fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed("read", &path)(error)),
    };
    if let Some(process) = Process::holding(folder)? {
        return Ok(match text {
            Some(text) => Status::Up(
                serde_json::from_str(&text).map_err(|source| RunError::State { path, source })?,
            ),
            None => Status::Busy { pid: process.pid() },
        });
    }
    let mut remains = namespace::remains(folder)?;
    if text.is_some() {
        remains.push(format!("the state file {}", path.display()));
    }
    Ok(if remains.is_empty() {
        Status::Down
    } else {
        Status::Dead { remains }
    })
}

//! Takes a lab down.

use super::{
    error::{RunError, failed},
    process::Process,
};
use crate::lab::{folder::LabFolder, namespace};
use std::{fs, io, time::Duration};

/// How long the lab's process may take to take everything down; it takes under 3 s.
const ORDERLY_WITHIN: Duration = Duration::from_secs(30);

/// Ends the lab's process, in order or by force, and removes whatever of the lab is still on the machine, also after a
/// crash. Disks and the API's memory stay. Returns whether there was anything to do.
///
/// # Errors
/// When something could not be removed; everything else is then gone all the same.
pub fn down(folder: &LabFolder) -> Result<bool, RunError> {
    let process = Process::holding(folder)?;
    if let Some(process) = &process {
        process.terminate()?;
        if !process.wait(ORDERLY_WITHIN)? {
            process.kill()?;
            process.wait(ORDERLY_WITHIN)?;
        }
    }
    let had_remains = !namespace::remains(folder)?.is_empty();
    namespace::sweep(folder)?;
    let had_state = folder.state().exists();
    for path in [folder.state(), folder.pid(), folder.control()] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &path)(error));
            }
            _ => {}
        }
    }
    Ok(process.is_some() || had_remains || had_state)
}

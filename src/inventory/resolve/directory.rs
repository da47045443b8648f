//! Directories with owner and mode.

use super::{Scope, scope::or};
use crate::inventory::{codes, document::Directory, written::At};
use crate::model::{dataset::DatasetDirectory, stack::StackDirectory};

const DEFAULT_MODE: u32 = 0o755;

/// A directory inside a dataset.
pub(super) fn in_dataset(at: &At<Directory>, scope: &mut Scope<'_>) -> Option<DatasetDirectory> {
    let directory = at.value.as_ref()?;
    let path = directory.path.value.clone()?;
    let inside = path == "."
        || (!path.is_empty() && path.split('/').all(|part| !matches!(part, "" | "." | "..")));
    if !inside {
        scope
            .error(
                codes::INVALID_PATH,
                format!("`{path}` is not a path inside the dataset"),
            )
            .at(directory.path.span, "not inside")
            .help(
                "write `.` for the mount point itself, or a relative path such as `immich/library`",
            );
        return None;
    }
    Some(DatasetDirectory {
        path,
        uid: or(&directory.uid, 0),
        gid: or(&directory.gid, 0),
        mode: directory_mode(directory, scope),
    })
}

/// A directory that a stack needs; its path may still hold placeholders.
pub(super) fn of_stack(at: &At<Directory>, scope: &mut Scope<'_>) -> Option<StackDirectory> {
    let directory = at.value.as_ref()?;
    let path = directory.path.value.clone()?;
    if !(path.starts_with('/') || path.starts_with("{{"))
        || path.split('/').any(|part| part == "..")
    {
        scope
            .error(
                codes::INVALID_PATH,
                format!("`{path}` is not an absolute path"),
            )
            .at(directory.path.span, "not absolute")
            .help("begin with `/` or with a placeholder such as `{{ mounts.appdata }}`");
        return None;
    }
    Some(StackDirectory {
        path,
        uid: or(&directory.uid, 0),
        gid: or(&directory.gid, 0),
        mode: directory_mode(directory, scope),
    })
}

/// A relative path of a compose file that holds data.
pub(super) fn of_data(at: &At<Directory>, scope: &mut Scope<'_>) -> Option<StackDirectory> {
    let directory = at.value.as_ref()?;
    let written = directory.path.value.clone()?;
    let path = written.strip_prefix("./").unwrap_or(&written).to_owned();
    let inside = !path.contains(['\n', '\r'])
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if !inside {
        scope
            .error(
                codes::INVALID_PATH,
                format!("`{written}` is not a path inside the stack"),
            )
            .at(directory.path.span, "not inside")
            .help("write the path as the compose file has it, such as `./config`; absolute paths belong under `directories`");
        return None;
    }
    Some(StackDirectory {
        path,
        uid: or(&directory.uid, 0),
        gid: or(&directory.gid, 0),
        mode: directory_mode(directory, scope),
    })
}

fn directory_mode(directory: &Directory, scope: &mut Scope<'_>) -> u32 {
    scope
        .parse_may(&directory.mode)
        .map_or(DEFAULT_MODE, |mode| mode.0)
}

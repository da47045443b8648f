//! Around every verb that speaks to live machines: the lab's namespace first, then a runtime, then the verb.

use super::{
    context::Context,
    exit,
    failure::Failure,
    session::{self, Lab, Session},
    system,
};
use std::{future::Future, pin::Pin};

/// A verb's work.
pub(crate) type Work<'a> = Pin<Box<dyn Future<Output = Result<u8, Failure>> + 'a>>;

/// Loads the inventory, opens a session and runs the verb in it.
pub(crate) fn with<'a>(
    context: &'a Context,
    verb: impl FnOnce(Session) -> Work<'a>,
) -> Result<u8, Failure> {
    let system = system::load(context)?;
    let lab = lab_of(context)?;
    block_on(async {
        let session = session::open(context, system, lab.as_ref())?;
        verb(session).await
    })
}

/// The lab that `--lab` means, announced and entered; none without it.
pub(super) fn lab_of(context: &Context) -> Result<Option<Lab>, Failure> {
    if !context.global.lab {
        return Ok(None);
    }
    let lab = lab(context)?;
    context.terminal.tell(super::substitute::announcement(&lab));
    Ok(Some(lab))
}

/// Waits for a verb's work.
pub(super) fn block_on(work: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| super::failure::failed(&error))?;
    runtime.block_on(work)
}

/// Reads the lab's state and enters its operator's network, before any thread exists.
#[cfg(feature = "lab")]
fn lab(context: &Context) -> Result<Lab, Failure> {
    use crate::lab::run::{Status, status};
    use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
    use std::os::fd::AsFd as _;
    let folder = super::lab::folder(context)?;
    let lab = match status(&folder).map_err(|error| super::failure::failed(&error))? {
        Status::Up(lab) => *lab,
        Status::Busy { .. } => {
            return Err(
                Failure::new(exit::UNREACHABLE, "the lab is starting or ending")
                    .hint("Look again in a moment: `infra lab status`."),
            );
        }
        Status::Dead { .. } => {
            return Err(Failure::new(exit::UNREACHABLE, "the lab's process is gone")
                .hint("Clean up and start again: `infra lab down`, then `infra lab up`."));
        }
        Status::Down => {
            return Err(
                Failure::new(exit::UNREACHABLE, "no lab is running").hint(format!(
                    "Start one: `infra lab up`. Its folder would be {}.",
                    folder.root().display()
                )),
            );
        }
    };
    if let Some(netns) = &lab.operator_netns {
        let enter = std::fs::File::open(netns).and_then(|file| {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .map_err(Into::into)
        });
        enter.map_err(|error| {
            Failure::of(exit::UNREACHABLE, &error)
                .hint("The lab's operator network is gone or you are not root: `infra lab status`.")
        })?;
    }
    Ok(lab)
}

#[cfg(not(feature = "lab"))]
fn lab(_context: &Context) -> Result<Lab, Failure> {
    Err(Failure::new(
        exit::USAGE,
        "this infra was built without the lab",
    ))
}

//! `infra firewall prove`: the rules in throw-away namespaces, and a real packet for every cell.

use crate::cli::{context::Context, exit, failure::Failure, system};
use crate::firewall::{
    Matrix,
    analysis::{Enforcement, Probe, probes},
};
use crate::model::secret::SecretValues;
use crate::plan::compile;
use crate::prove::{ProveError, Room};
use crate::view::human;

/// Runs the verb.
pub(crate) fn run(context: &Context) -> Result<u8, Failure> {
    let system = system::load(context)?;
    let desired = &system.desired;
    let (compiled, _) = compile(desired, &SecretValues::default());
    let matrix = Matrix::of(desired);
    let enforcement = Enforcement::of_compiled(desired, &compiled.firewall);
    let mut asked = probes(desired, &matrix, &enforcement);
    if asked.is_empty() {
        return Err(Failure::new(
            exit::CHECK_FAILED,
            "there is nothing to prove: no machine of the system has an address",
        ));
    }
    let failed = |error: ProveError| {
        let failure = crate::cli::failure::failed(&error);
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    };
    context
        .terminal
        .tell("Proving in namespaces of its own: nothing real is touched.");
    let mut room = Room::new(desired).map_err(failed)?;
    room.load(desired, &compiled.firewall).map_err(failed)?;
    room.probe(desired, &mut asked).map_err(failed)?;
    drop(room);
    if context.global.json {
        context.terminal.json(&serde_json::json!({
            "system": desired.system,
            "probes": asked,
        }));
    } else {
        context.terminal.answer(&human::probes(&asked));
    }
    Ok(if asked.iter().all(Probe::holds) {
        exit::DONE
    } else {
        exit::CHECK_FAILED
    })
}

//! The codes of what can be wrong with a playbook alone. `docs/diagnostics.md` explains each one.

use crate::diagnostic::Code;

/// A step that does nothing, or two things.
pub const ONE_KIND: Code = Code("PLAY001");
/// A command that would run every time.
pub const RUNS_ALWAYS: Code = Code("PLAY002");
/// A handler that does not exist, or a step that only a handler may be.
pub const HANDLER: Code = Code("PLAY003");
/// A template that is not beside the playbook.
pub const NO_TEMPLATE: Code = Code("PLAY004");

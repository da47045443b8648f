//! The codes of this room; `docs/diagnostics.md` explains each.

use crate::diagnostic::Code;

/// A variable or field that is not there.
pub const UNDEFINED: Code = Code("TPL001");
/// Text that Tera cannot read.
pub const SYNTAX: Code = Code("TPL002");
/// A name that is not a secret of this system.
pub const UNKNOWN_SECRET: Code = Code("TPL003");
/// A filter or an operation that refuses what it was given.
pub const FAILED: Code = Code("TPL004");
/// A secret that went through a filter or was cut.
pub const SECRET_ALTERED: Code = Code("TPL005");

/// All of them.
pub const ALL: &[Code] = &[UNDEFINED, SYNTAX, UNKNOWN_SECRET, FAILED, SECRET_ALTERED];

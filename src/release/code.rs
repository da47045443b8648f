//! The codes of this room; `docs/diagnostics.md` explains each.

use crate::diagnostic::Code;

/// A compose file that is not YAML, or names no service.
pub const BAD_COMPOSE: Code = Code("REL002");
/// A port that compose publishes and the manifest does not name.
pub const UNDECLARED: Code = Code("REL003");
/// A port that the manifest names and no service publishes.
pub const NOT_PUBLISHED: Code = Code("REL004");
/// An image without a tag, or with `latest`.
pub const UNPINNED: Code = Code("REL005");
/// A service that is built on the host.
pub const BUILDS: Code = Code("REL007");
/// A relative path that is no file of the template.
pub const MISSING_FILE: Code = Code("REL008");
/// A variable with a name that infra uses itself.
pub const RESERVED: Code = Code("REL009");
/// A bind mount below a dataset that the stack does not wait for.
pub const FOREIGN_MOUNT: Code = Code("REL010");
/// A secret in the compose file itself.
pub const SECRET_IN_COMPOSE: Code = Code("REL011");
/// A path that leaves where it must stay.
pub const PATH: Code = Code("REL012");
/// A variable that compose fills in with nothing.
pub const UNSET: Code = Code("REL013");
/// A word that older YAML reads as something else.
pub const YAML_SURPRISE: Code = Code("REL014");
/// A top-level key that compose does not know.
pub const UNKNOWN_KEY: Code = Code("REL015");
/// A network that no firewall of the host sees.
pub const UNSEEN_NETWORK: Code = Code("REL016");

/// All of them.
pub const ALL: &[Code] = &[
    BAD_COMPOSE,
    UNDECLARED,
    NOT_PUBLISHED,
    UNPINNED,
    BUILDS,
    MISSING_FILE,
    RESERVED,
    FOREIGN_MOUNT,
    SECRET_IN_COMPOSE,
    PATH,
    UNSET,
    YAML_SURPRISE,
    UNKNOWN_KEY,
    UNSEEN_NETWORK,
];

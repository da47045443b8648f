//! Secret references -> values: age files, SOPS files with age keys, environment, files, commands.
//!
//! Invariant: a value leaves this room only inside `SecretValues`; no error or log carries one.

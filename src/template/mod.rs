//! Tera templates -> text whose secrets are still names.
//!
//! [`render`] checks every name that the template mentions against the context, then lets Tera write the text, then cuts it
//! at the markers that stand for secrets. Tera alone takes an unknown name in `if`, `or` and `==` for false, which would turn a
//! typing mistake into a quietly different configuration.
//!
//! Filters: `yaml` and `json` (a JSON value, which is a valid YAML scalar), `sh` (one shell word), `network_address` and
//! `netmask` of an IPv4 network. Nothing is escaped by itself. An optional field is written `route?.body`.
//!
//! Invariant: pure; an undefined variable anywhere is an error with its place.
//! Invariant: the value of a secret never enters this room, and no filter may touch a secret's marker.

pub mod code;
mod filter;
mod name;
mod origin;
mod place;
mod secret;
mod text;
mod token;

pub use origin::origins;
pub use text::render;

//! The reference systems embedded in the binary, and how `infra init` writes them out.
//!
//! Invariant: writes only below the folder that the owner named, and never over an existing file.

//! Debian hosts over a shell: facts, packages, files, units, kernel settings.
//!
//! Invariant: files are written atomically with owner and mode; secret content travels on stdin only.

//! Inventories, valid and invalid: every folder and file beside this one is a case.

mod flagship;

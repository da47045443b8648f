//! Clusters in the lab: how many questions a plan asks, and that every interrupted write is made good by the next run.

#![expect(
    clippy::disallowed_methods,
    reason = "tests make their own folders and sockets"
)]

mod availability;
mod clones;
mod doctor;
mod farm;
mod faults;
mod filesystems;
mod first_boot;
mod guard;
mod network;
mod requests;
mod sdn;

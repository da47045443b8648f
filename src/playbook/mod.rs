//! Ordered runbooks over selected hosts.
//!
//! [`tasks`] fills in a playbook's texts for one host, [`request`] says what has to be looked at (one exec a host for all of
//! its steps), [`compare`] gives the changes in the order of the steps, and [`act`](Task::act) the steps that are done rather
//! than compared.
//!
//! Invariant: pure; a playbook becomes a plan like everything else.

mod ask;
mod differ;
mod fill;
mod line;

pub use ask::request;
pub use differ::{Compared, compare};
pub use fill::{Host, Task, tasks};

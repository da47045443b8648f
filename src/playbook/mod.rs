//! Ordered runbooks over selected hosts. Grows in a later part; today it holds no steps.
//!
//! Invariant: pure; a playbook becomes a plan like everything else.

//! What uses a secret.

use crate::model::{
    desired::{ApiAuth, Desired},
    ids::{SecretName, StackName},
    secret::SecretValues,
};
use crate::plan::compile;
use std::collections::{BTreeMap, BTreeSet};

/// The users of each secret.
#[derive(Debug, Default)]
pub(super) struct Users {
    /// Stacks, with the files in which it is.
    pub(super) stacks: BTreeMap<StackName, BTreeSet<String>>,
    /// The API's login.
    pub(super) api: bool,
}

impl Users {
    /// In words; empty when nothing uses it.
    pub(super) fn words(&self) -> Vec<String> {
        let stacks = self.stacks.iter().map(|(stack, files)| {
            let files: Vec<&str> = files.iter().map(String::as_str).collect();
            format!("stack {stack} ({})", files.join(", "))
        });
        let api = self.api.then(|| "the Proxmox API".to_owned());
        stacks.chain(api).collect()
    }
}

/// The users of every secret that is used.
pub(super) fn users(desired: &Desired) -> BTreeMap<SecretName, Users> {
    let mut out: BTreeMap<SecretName, Users> = BTreeMap::new();
    let (compiled, _) = compile(desired, &SecretValues::default());
    for (stack, release) in &compiled.releases {
        for file in &release.files {
            for name in file.content.secrets() {
                let users = out.entry(name.clone()).or_default();
                let files = users.stacks.entry(stack.clone()).or_default();
                files.insert(file.path.clone());
            }
        }
    }
    match desired.proxmox.as_ref().map(|api| &api.auth) {
        Some(ApiAuth::Token { secret, .. }) => out.entry(secret.clone()).or_default().api = true,
        Some(ApiAuth::Password { password, .. }) => {
            out.entry(password.clone()).or_default().api = true;
        }
        None => {}
    }
    out
}

/// What has to be done once these have other values.
pub(super) fn next(
    context: &crate::cli::context::Context,
    desired: &Desired,
    names: &[SecretName],
) -> Vec<String> {
    let all = users(desired);
    let used: Vec<&Users> = names.iter().filter_map(|name| all.get(name)).collect();
    let stacks: BTreeSet<&str> = used
        .iter()
        .flat_map(|users| users.stacks.keys())
        .map(StackName::as_str)
        .collect();
    let mut out = Vec::new();
    if !stacks.is_empty() {
        let stacks: Vec<&str> = stacks.into_iter().collect();
        let again = context.again(&format!("stack deploy {}", stacks.join(" ")));
        out.push(format!(
            "Used by {}: `{again}` makes their containers anew with it.",
            stacks.join(", ")
        ));
        out.push(
            "A program that keeps a copy of a password in its own data, as databases do, has to be told there as well.".to_owned(),
        );
    }
    if used.iter().any(|users| users.api) {
        out.push("The Proxmox API is logged in to with it: change it there too.".to_owned());
    }
    out
}

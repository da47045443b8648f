//! The owner's part of a guest's seed.

use super::{
    Scope,
    names::{entries, items},
    scope::{or, text},
};
use crate::inventory::{
    codes, document,
    written::{At, May},
};
use crate::model::cloud_init::{CloudInit, CloudUser};
use serde_json::{Map, Value};

/// Keys of the user-data document that infra writes from keys of the inventory.
const OWN: &[(&str, &str)] = &[
    ("hostname", "the guest's name"),
    ("fqdn", "the guest's name"),
    ("timezone", "timezone"),
    ("users", "cloud_init.users"),
    ("packages", "cloud_init.packages"),
    ("ssh_authorized_keys", "authorized_keys"),
    ("ssh_keys", "nothing: infra makes the host key"),
    ("ssh_deletekeys", "nothing: infra keeps the host keys"),
    ("disable_root", "ssh.user"),
];

/// Resolves `cloud_init`.
pub(super) fn resolve(raw: &document::Guest, login: &str, scope: &mut Scope<'_>) -> CloudInit {
    let Some(init) = raw.cloud_init.as_ref().and_then(|at| at.value.as_ref()) else {
        return CloudInit {
            network_version: 1,
            ..CloudInit::default()
        };
    };
    let network_version = or(&init.network_version, 1);
    if let Some(at) = init
        .network_version
        .as_ref()
        .filter(|_| !matches!(network_version, 1 | 2))
    {
        scope
            .error(
                codes::INVALID_CHOICE,
                format!("there is no network document of version {network_version}"),
            )
            .at(at.span, "1 or 2");
    }
    let user_data = keys(&init.user_data, scope);
    for (key, instead) in OWN {
        if let Some(at) = init
            .user_data
            .as_ref()
            .filter(|_| user_data.contains_key(*key))
        {
            scope
                .error(
                    codes::INVALID_CLOUD_INIT,
                    format!("infra writes `{key}` of the user-data itself"),
                )
                .at(at.span, "in this document")
                .help(format!("it comes from {instead}"));
        }
    }
    CloudInit {
        packages: packages(&init.packages, scope),
        users: users(init, login, scope),
        network_version,
        user_data,
        vendor_data: keys(&init.vendor_data, scope),
    }
}

/// Debian's rule for package names, and its suffix for a version.
fn packages(list: &May<Vec<At<String>>>, scope: &mut Scope<'_>) -> Vec<String> {
    let mut out = Vec::new();
    for at in items(list) {
        let Some(name) = &at.value else { continue };
        let valid = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && name.chars().all(|c| {
                c.is_ascii_lowercase()
                    || c.is_ascii_digit()
                    || matches!(c, '+' | '-' | '.' | ':' | '=' | '~')
            });
        if !valid {
            scope
                .error(
                    codes::INVALID_NAME,
                    format!("`{name}` is not a package name"),
                )
                .at(at.span, "lower-case letters, digits, `+`, `-` and `.`");
        }
        out.push(name.clone());
    }
    out
}

fn users(init: &document::CloudInit, login: &str, scope: &mut Scope<'_>) -> Vec<CloudUser> {
    let mut out = Vec::new();
    for (key, user) in entries(&init.users) {
        let (Some(name), Some(user)) = (&key.value, &user.value) else {
            continue;
        };
        let valid = name.len() <= 32
            && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'));
        if !valid {
            scope
                .error(codes::INVALID_NAME, format!("`{name}` is not a login name"))
                .at(
                    key.span,
                    "at most 32 lower-case letters, digits, `_` and `-`",
                );
        } else if name == login || name == "root" {
            scope
                .error(codes::NAME_TAKEN, format!("`{name}` is made by infra"))
                .at(key.span, "infra logs in as this user")
                .help("its keys are `authorized_keys` of the system");
        }
        out.push(CloudUser {
            name: name.clone(),
            groups: words(&user.groups),
            sudo: or(&user.sudo, false),
            shell: text(&user.shell).unwrap_or_else(|| "/bin/bash".to_owned()),
            authorized_keys: words(&user.authorized_keys),
        });
    }
    out
}

fn words(list: &May<Vec<At<String>>>) -> Vec<String> {
    items(list)
        .iter()
        .filter_map(|at| at.value.clone())
        .collect()
}

/// A block of YAML as its keys.
fn keys(block: &May<String>, scope: &mut Scope<'_>) -> Map<String, Value> {
    let Some(at) = block else { return Map::new() };
    let Some(text) = &at.value else {
        return Map::new();
    };
    match serde_saphyr::from_str::<Value>(text) {
        Ok(Value::Object(map)) => map,
        Ok(_) => {
            scope
                .error(codes::INVALID_CLOUD_INIT, "a cloud-init document is a map")
                .at(at.span, "not a map")
                .help("begin it with `|` and write `key: value` lines below");
            Map::new()
        }
        Err(error) => {
            let error = error.to_string();
            let first = error.lines().next().unwrap_or_default().to_owned();
            scope
                .error(
                    codes::INVALID_CLOUD_INIT,
                    format!("the cloud-init document is not YAML: {first}"),
                )
                .at(at.span, "this block");
            Map::new()
        }
    }
}

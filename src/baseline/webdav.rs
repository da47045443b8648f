//! What `davfs2` needs before it mounts a folder that somebody rents.

use crate::model::{
    host::{HostMount, HostMountSource},
    resource::{FileResource, Reaction, Resource},
    secret::{Content, Piece},
};
use std::{collections::BTreeSet, fmt::Write as _};

const HEAD: &str = "# Made by infra; edits are replaced.\n";
const CONFIG: &str = "/etc/davfs2/infra.conf";
const ACCOUNTS: &str = "/etc/sysusers.d/infra-mounts.conf";
/// From 6.16 on the kernel asks for directories in pieces of up to 128 KiB; davfs2 before 1.7.2 answers `EINVAL` to what is
/// larger than its buffer, 16 KiB unless told, and the folder looks empty (alisarctl/davfs2 issue 22).
const BUFFER_KIB: u32 = 256;

/// The package, its passwords, its settings, and an account for every owner: davfs2 looks `uid=` up, does not mount what
/// belongs to nobody ("can't read user data base"), and refuses `chown` to numbers without a name. Where an owner's number has an
/// account already, that one serves; systemd-sysusers then gives ours, which nobody can log in to, a number of its own.
pub(super) fn needs(mounts: &[HostMount]) -> Vec<Resource> {
    let mut passwords = Vec::new();
    let mut owners = BTreeSet::new();
    for mount in mounts {
        if let HostMountSource::WebDav {
            url,
            user,
            password,
            owner,
        } = &mount.source
        {
            passwords.extend([
                Piece::Text(format!("{url} {user} ")),
                Piece::Quoted(password.clone()),
                Piece::Text("\n".to_owned()),
            ]);
            owners.insert(*owner);
        }
    }
    if passwords.is_empty() {
        return Vec::new();
    }
    let head = Piece::Text(HEAD.to_owned());
    let passwords = Content([vec![head], passwords].concat());
    let settings = Content::text(format!("{HEAD}buf_size {BUFFER_KIB}\n"));
    let mut out = vec![
        Resource::Package("davfs2".to_owned()),
        Resource::File(file(
            "/etc/davfs2/secrets",
            0o600,
            passwords,
            "WebDAV folders are opened with their passwords",
        )),
        Resource::File(file(
            CONFIG,
            0o644,
            settings,
            "WebDAV folders can be listed on every kernel",
        )),
    ];
    owners.retain(|&(uid, _)| uid != 0);
    if !owners.is_empty() {
        let mut text = HEAD.to_owned();
        for (uid, gid) in owners {
            let _ = writeln!(
                text,
                "g infra-{gid} {gid}\nu infra-{uid} {uid}:{gid} \"Owner of rented folders\""
            );
        }
        let argv = ["/usr/bin/systemd-sysusers", ACCOUNTS].map(str::to_owned);
        out.push(Resource::File(FileResource {
            then: vec![Reaction::Run(argv.to_vec())],
            ..file(
                ACCOUNTS,
                0o644,
                Content::text(text),
                "the owner of a WebDAV folder is an account",
            )
        }));
    }
    out
}

/// The options of a mount whose files belong to these numbers.
pub(super) fn options((uid, gid): (u32, u32)) -> String {
    format!("_netdev,conf={CONFIG},uid={uid},gid={gid},file_mode=0664,dir_mode=0775")
}

fn file(path: &str, mode: u32, content: Content, purpose: &str) -> FileResource {
    FileResource {
        path: path.to_owned(),
        content,
        owner: "root".to_owned(),
        group: "root".to_owned(),
        mode,
        then: vec![],
        purpose: purpose.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ids::SecretName, secret::SecretValues};

    fn mounts(owners: &[(u32, u32)]) -> Vec<HostMount> {
        let mount = |(n, owner): (usize, &(u32, u32))| HostMount {
            at: format!("/mnt/{n}"),
            source: HostMountSource::WebDav {
                url: format!("https://box{n}.example.org"),
                user: "me".to_owned(),
                password: "box".parse::<SecretName>().expect("a name"),
                owner: *owner,
            },
            read_only: false,
        };
        owners.iter().enumerate().map(mount).collect()
    }

    fn accounts(resources: &[Resource]) -> Option<&FileResource> {
        resources.iter().find_map(|resource| {
            let Resource::File(file) = resource else {
                return None;
            };
            (file.path == ACCOUNTS).then_some(file)
        })
    }

    #[test]
    fn every_owner_is_an_account_once_and_root_needs_none() {
        let needs = needs(&mounts(&[(1001, 1001), (0, 0), (1001, 1001), (33, 33)]));
        let file = accounts(&needs).expect("accounts");
        let lines = "g infra-33 33\nu infra-33 33:33 \"Owner of rented folders\"\n\
                     g infra-1001 1001\nu infra-1001 1001:1001 \"Owner of rented folders\"\n";
        assert_eq!(file.content, Content::text(format!("{HEAD}{lines}")));
        assert_eq!(file.then.len(), 1);
        assert!(accounts(&super::needs(&mounts(&[(0, 0)]))).is_none());
    }

    #[test]
    fn a_password_may_have_quotes_and_backslashes() {
        let needs = needs(&mounts(&[(0, 0)]));
        let content = needs.iter().find_map(|resource| {
            if let Resource::File(file) = resource {
                file.path.ends_with("/secrets").then_some(&file.content)
            } else {
                None
            }
        });
        let content = content.expect("passwords");
        let mut values = SecretValues::default();
        values.insert("box".parse().expect("a name"), r#"a"b\c"#.into());
        let line = format!("{HEAD}https://box0.example.org me {}\n", r#""a\"b\\c""#);
        let filled = content.filled(&values).expect("a value");
        assert_eq!(String::from_utf8_lossy(&filled), line);
        assert!(content.has_secrets());
    }

    #[test]
    fn hosts_without_rented_folders_need_nothing() {
        assert_eq!(needs(&mounts(&[])), []);
    }
}

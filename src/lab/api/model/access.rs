//! Users, tokens, roles and who may do what where.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Every privilege of Proxmox VE 9.2.
pub(crate) const PRIVILEGES: &[&str] = &[
    "Datastore.Allocate",
    "Datastore.AllocateSpace",
    "Datastore.AllocateTemplate",
    "Datastore.Audit",
    "Group.Allocate",
    "Mapping.Audit",
    "Mapping.Modify",
    "Mapping.Use",
    "Permissions.Modify",
    "Pool.Allocate",
    "Pool.Audit",
    "Realm.Allocate",
    "Realm.AllocateUser",
    "SDN.Allocate",
    "SDN.Audit",
    "SDN.Use",
    "Sys.AccessNetwork",
    "Sys.Audit",
    "Sys.Console",
    "Sys.Incoming",
    "Sys.Modify",
    "Sys.PowerMgmt",
    "Sys.Syslog",
    "User.Modify",
    "VM.Allocate",
    "VM.Audit",
    "VM.Backup",
    "VM.Clone",
    "VM.Config.CDROM",
    "VM.Config.CPU",
    "VM.Config.Cloudinit",
    "VM.Config.Disk",
    "VM.Config.HWType",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.Console",
    "VM.GuestAgent.Audit",
    "VM.GuestAgent.FileRead",
    "VM.GuestAgent.FileSystemMgmt",
    "VM.GuestAgent.FileWrite",
    "VM.GuestAgent.Unrestricted",
    "VM.Migrate",
    "VM.PowerMgmt",
    "VM.Replicate",
    "VM.Snapshot",
    "VM.Snapshot.Rollback",
];

/// The privileges that infra needs, no more: what the role of the lab's default token holds.
///
/// `VM.*` to make, configure and power guests, to ask their agent for addresses and for how their
/// first boot went; `Datastore.*` to import images, upload seeds, delete them (`Datastore.Allocate`)
/// and allocate disks; `SDN.Use` for bridges; `Mapping.*` for the datasets that guests mount;
/// `Sys.Audit` to read the node, `Sys.Modify` for the cluster's firewall and start order, `Sys.AccessNetwork` for
/// download-url.
pub const LEAST_PRIVILEGES: &[&str] = &[
    "Datastore.Allocate",
    "Datastore.AllocateSpace",
    "Datastore.AllocateTemplate",
    "Datastore.Audit",
    "Mapping.Audit",
    "Mapping.Modify",
    "Mapping.Use",
    "Pool.Allocate",
    "Pool.Audit",
    "SDN.Audit",
    "SDN.Use",
    "Sys.AccessNetwork",
    "Sys.Audit",
    "Sys.Modify",
    "VM.Allocate",
    "VM.Audit",
    "VM.Clone",
    "VM.Config.CDROM",
    "VM.Config.CPU",
    "VM.Config.Cloudinit",
    "VM.Config.Disk",
    "VM.Config.HWType",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.GuestAgent.Audit",
    "VM.GuestAgent.FileRead",
    "VM.Migrate",
    "VM.PowerMgmt",
    "VM.Snapshot",
    "VM.Snapshot.Rollback",
];

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Who {
    /// `name@realm`.
    pub(crate) user: String,
    /// Id of the token, none for a ticket.
    pub(crate) token: Option<String>,
}

impl Who {
    /// `root@pam` with a ticket. A token is never root, not even root's own.
    pub(crate) fn is_root(&self) -> bool {
        self.user == "root@pam" && self.token.is_none()
    }

    /// As tasks and access lists write it: `user@realm!token`.
    pub(crate) fn full(&self) -> String {
        match &self.token {
            Some(token) => format!("{}!{token}", self.user),
            None => self.user.clone(),
        }
    }
}

/// An API token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) secret: String,
    /// Whether it has only its own rights.
    pub(crate) privsep: bool,
    pub(crate) comment: Option<String>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub(crate) struct User {
    pub(crate) password: Option<String>,
    pub(crate) comment: Option<String>,
    pub(crate) tokens: BTreeMap<String, Token>,
}

/// One line of the access control list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) path: String,
    /// User or full token id.
    pub(crate) ugid: String,
    pub(crate) role: String,
    pub(crate) propagate: bool,
}

/// Users, roles and grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Access {
    pub(crate) users: BTreeMap<String, User>,
    /// Roles that were made, beside the built-in ones.
    pub(crate) roles: BTreeMap<String, BTreeSet<String>>,
    pub(crate) grants: Vec<Grant>,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            users: BTreeMap::from([("root@pam".to_owned(), User::default())]),
            roles: BTreeMap::new(),
            grants: Vec::new(),
        }
    }
}

impl Access {
    /// Whether somebody holds all (or any) of these privileges on a path.
    pub(crate) fn may(&self, who: &Who, path: &str, privileges: &[&str], any: bool) -> bool {
        let held = self.privileges(who, path);
        if any {
            privileges.iter().any(|privilege| held.contains(*privilege))
        } else {
            privileges.iter().all(|privilege| held.contains(*privilege))
        }
    }

    /// Everything somebody may do on a path.
    pub(crate) fn privileges(&self, who: &Who, path: &str) -> BTreeSet<String> {
        let of_user = if who.user == "root@pam" {
            PRIVILEGES.iter().map(|name| (*name).to_owned()).collect()
        } else {
            self.granted(&who.user, path)
        };
        let Some(id) = &who.token else { return of_user };
        let token = self
            .users
            .get(&who.user)
            .and_then(|user| user.tokens.get(id));
        if token.is_some_and(|token| !token.privsep) {
            return of_user;
        }
        let own = self.granted(&who.full(), path);
        own.intersection(&of_user).cloned().collect()
    }

    /// Roles given on a deeper path replace those that propagate from above.
    fn granted(&self, ugid: &str, path: &str) -> BTreeSet<String> {
        let mut roles: Vec<&str> = Vec::new();
        for above in ancestors(path) {
            let here: Vec<&Grant> = self
                .grants
                .iter()
                .filter(|grant| grant.ugid == ugid && grant.path == above)
                .filter(|grant| grant.propagate || above == path)
                .collect();
            if !here.is_empty() {
                roles = here.iter().map(|grant| grant.role.as_str()).collect();
            }
        }
        if roles.contains(&"NoAccess") {
            return BTreeSet::new();
        }
        roles.iter().flat_map(|role| self.role(role)).collect()
    }

    /// The privileges of a role, built-in or made.
    pub(crate) fn role(&self, id: &str) -> BTreeSet<String> {
        if let Some(made) = self.roles.get(id) {
            return made.clone();
        }
        BUILT_IN
            .iter()
            .find(|(name, _)| *name == id)
            .map(|(_, choose)| {
                PRIVILEGES
                    .iter()
                    .filter(|privilege| choose(privilege))
                    .map(|privilege| (*privilege).to_owned())
                    .collect()
            })
            .unwrap_or_default()
    }

    /// Role -> (privileges, built-in).
    pub(crate) fn all_roles(&self) -> BTreeMap<String, (BTreeSet<String>, bool)> {
        let built_in = BUILT_IN
            .iter()
            .map(|(name, _)| ((*name).to_owned(), (self.role(name), true)));
        let made = self
            .roles
            .iter()
            .map(|(name, privileges)| (name.clone(), (privileges.clone(), false)));
        built_in.chain(made).collect()
    }

    /// The paths that `GET /access/permissions` reports.
    pub(crate) fn reported_paths(&self) -> BTreeSet<String> {
        let fixed = [
            "/",
            "/access",
            "/access/groups",
            "/nodes",
            "/pool",
            "/sdn",
            "/storage",
            "/vms",
        ];
        let granted = self.grants.iter().map(|grant| grant.path.clone());
        fixed
            .iter()
            .map(|path| (*path).to_owned())
            .chain(granted)
            .collect()
    }
}

fn ancestors(path: &str) -> Vec<String> {
    let mut all = vec!["/".to_owned()];
    let mut walked = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        walked.push('/');
        walked.push_str(part);
        all.push(walked.clone());
    }
    all
}

type Role = (&'static str, fn(&str) -> bool);

const BUILT_IN: &[Role] = &[
    ("Administrator", |_| true),
    ("NoAccess", |_| false),
    ("PVEAdmin", |p| {
        !matches!(
            p,
            "Permissions.Modify"
                | "Realm.Allocate"
                | "Sys.AccessNetwork"
                | "Sys.Incoming"
                | "Sys.Modify"
                | "Sys.PowerMgmt"
                | "Mapping.Modify"
        )
    }),
    ("PVEAuditor", |p| {
        matches!(
            p,
            "Datastore.Audit"
                | "Mapping.Audit"
                | "Pool.Audit"
                | "SDN.Audit"
                | "Sys.Audit"
                | "VM.Audit"
                | "VM.GuestAgent.Audit"
        )
    }),
    ("PVEDatastoreAdmin", |p| p.starts_with("Datastore.")),
    ("PVEDatastoreUser", |p| {
        matches!(p, "Datastore.AllocateSpace" | "Datastore.Audit")
    }),
    ("PVEMappingAdmin", |p| p.starts_with("Mapping.")),
    ("PVEMappingUser", |p| {
        matches!(p, "Mapping.Audit" | "Mapping.Use")
    }),
    ("PVEPoolAdmin", |p| p.starts_with("Pool.")),
    ("PVEPoolUser", |p| p == "Pool.Audit"),
    ("PVESDNAdmin", |p| p.starts_with("SDN.")),
    ("PVESDNUser", |p| matches!(p, "SDN.Audit" | "SDN.Use")),
    ("PVESysAdmin", |p| {
        matches!(p, "Sys.Audit" | "Sys.Console" | "Sys.Syslog")
    }),
    ("PVETemplateUser", |p| matches!(p, "VM.Audit" | "VM.Clone")),
    ("PVEUserAdmin", |p| {
        matches!(p, "Group.Allocate" | "Realm.AllocateUser" | "User.Modify")
    }),
    ("PVEVMAdmin", |p| p.starts_with("VM.")),
    ("PVEVMUser", |p| {
        matches!(
            p,
            "VM.Audit"
                | "VM.Backup"
                | "VM.Config.CDROM"
                | "VM.Config.Cloudinit"
                | "VM.Console"
                | "VM.GuestAgent.Audit"
                | "VM.GuestAgent.FileRead"
                | "VM.GuestAgent.FileSystemMgmt"
                | "VM.GuestAgent.FileWrite"
                | "VM.PowerMgmt"
        )
    }),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> Access {
        let mut access = Access::default();
        let token = |privsep| Token {
            secret: "s".to_owned(),
            privsep,
            comment: None,
        };
        let tokens = BTreeMap::from([
            ("own".to_owned(), token(true)),
            ("full".to_owned(), token(false)),
        ]);
        access.users.insert(
            "infra@pve".to_owned(),
            User {
                tokens,
                ..User::default()
            },
        );
        access.grants.push(Grant {
            path: "/vms".to_owned(),
            ugid: "infra@pve".to_owned(),
            role: "PVEVMAdmin".to_owned(),
            propagate: true,
        });
        access
    }

    fn token(id: &str) -> Who {
        Who {
            user: "infra@pve".to_owned(),
            token: Some(id.to_owned()),
        }
    }

    #[test]
    fn a_separated_token_has_no_rights_until_it_gets_its_own() {
        let mut access = world();
        assert!(access.may(&token("full"), "/vms/100", &["VM.Audit"], false));
        assert!(!access.may(&token("own"), "/vms/100", &["VM.Audit"], false));
        access.grants.push(Grant {
            path: "/".to_owned(),
            ugid: "infra@pve!own".to_owned(),
            role: "Administrator".to_owned(),
            propagate: true,
        });
        assert!(access.may(&token("own"), "/vms/100", &["VM.Audit"], false));
        assert!(!access.may(&token("own"), "/storage/local", &["Datastore.Audit"], false));
    }

    #[test]
    fn a_deeper_grant_replaces_the_one_above() {
        let mut access = world();
        access.grants.push(Grant {
            path: "/vms/101".to_owned(),
            ugid: "infra@pve".to_owned(),
            role: "NoAccess".to_owned(),
            propagate: true,
        });
        assert!(!access.may(&token("full"), "/vms/101", &["VM.Audit"], false));
        assert!(access.may(&token("full"), "/vms/102", &["VM.Audit"], false));
    }

    #[test]
    fn roots_token_is_not_root() {
        let root = Who {
            user: "root@pam".to_owned(),
            token: Some("test".to_owned()),
        };
        assert!(!root.is_root());
        assert_eq!(root.full(), "root@pam!test");
    }
}

//! Tickets, users and rights.

use super::{
    endpoint::{
        Act::{Read, Write},
        Check, Endpoint,
        Method::{Delete, Get, Post, Put},
        endpoint,
    },
    param::{BOOLEAN, INTEGER, TEXT, opt, req},
};
use crate::lab::api::endpoint::access;

/// The endpoints.
pub(super) const ACCESS: &[Endpoint] = &[
    endpoint(Post, "/access/ticket", Check::World, Write(access::login), &[&[opt("new-format", BOOLEAN).or("1"), opt("otp", TEXT), req("password", TEXT), opt("path", TEXT.max(64)).requires("privs"), opt("privs", TEXT.format("pve-priv-list").max(64)).requires("path"), opt("realm", TEXT.format("pve-realm").max(32)), opt("tfa-challenge", TEXT), req("username", TEXT.max(64))]]).ticket_only(),
    endpoint(Get, "/access/permissions", Check::Everyone, Read(access::permissions), &[&[opt("path", TEXT), opt("userid", TEXT.pattern("(?^:^(?^:[^\\s:/]+)\\@(?^:[A-Za-z][A-Za-z0-9\\.\\-_]+)(?:!(?^:[A-Za-z][A-Za-z0-9\\.\\-_]+))?$)"))]]),
    endpoint(Get, "/access/roles", Check::Everyone, Read(access::roles), &[]),
    endpoint(Post, "/access/roles", Check::Perm("/access", &["Sys.Modify"]), Write(access::add_role), &[&[opt("privs", TEXT.format("pve-priv-list")), req("roleid", TEXT.format("pve-roleid"))]]),
    endpoint(Delete, "/access/roles/{roleid}", Check::Perm("/access", &["Sys.Modify"]), Write(access::delete_role), &[]),
    endpoint(Post, "/access/users", Check::And(&[Check::User("Realm.AllocateUser"), Check::NewUserGroup(&["User.Modify"])]), Write(access::add_user), &[&[opt("comment", TEXT.max(2048)), opt("email", TEXT.format("email-opt").max(254)), opt("enable", BOOLEAN).or("1"), opt("expire", INTEGER.min(0)), opt("firstname", TEXT.max(1024)), opt("groups", TEXT.format("pve-groupid-list")), opt("keys", TEXT.pattern("[0-9a-zA-Z!=]{0,4096}")), opt("lastname", TEXT.max(1024)), opt("password", TEXT.max(64).min(8)), req("userid", TEXT.format("pve-userid").max(64))]]),
    endpoint(Delete, "/access/users/{userid}", Check::And(&[Check::User("Realm.AllocateUser"), Check::UserGroup(&["User.Modify"])]), Write(access::delete_user), &[]),
    endpoint(Post, "/access/users/{userid}/token/{tokenid}", Check::Or(&[Check::User("self"), Check::UserGroup(&["User.Modify"])]), Write(access::add_token), &[&[opt("comment", TEXT), opt("expire", INTEGER.min(0)).or("same as user"), opt("privsep", BOOLEAN).or("1")]]),
    endpoint(Delete, "/access/users/{userid}/token/{tokenid}", Check::Or(&[Check::User("self"), Check::UserGroup(&["User.Modify"])]), Write(access::delete_token), &[]),
    endpoint(Get, "/access/acl", Check::Everyone, Read(access::grants), &[]),
    endpoint(Put, "/access/acl", Check::Modify("{path}"), Write(access::put_grants), &[&[opt("delete", BOOLEAN), opt("groups", TEXT.format("pve-groupid-list")), req("path", TEXT), opt("propagate", BOOLEAN).or("1"), req("roles", TEXT.format("pve-roleid-list")), opt("tokens", TEXT.format("pve-tokenid-list")), opt("users", TEXT.format("pve-userid-list"))]]),
];

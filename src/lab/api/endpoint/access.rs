//! Tickets, users, tokens, roles and grants.

use crate::lab::api::{
    call::{Answer, Call, Outcome, Refusal},
    model::{
        access::{Grant, PRIVILEGES, Token, User, Who},
        cluster::Model,
    },
    ticket,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

pub(crate) fn login(model: &mut Model, call: &Call) -> Answer {
    let name = call.text("username");
    let user = match call.get("realm") {
        Some(realm) if !name.contains('@') => format!("{name}@{realm}"),
        _ => name.to_owned(),
    };
    let password = call.text("password");
    let known = model
        .access
        .users
        .get(&user)
        .and_then(|user| user.password.as_deref());
    let renewal = ticket::read(&model.key, password, call.now).is_ok_and(|owner| owner == user);
    if known != Some(password) && !renewal {
        return Err(Refusal::Unauthorized("authentication failure".to_owned()));
    }
    let who = Who {
        user: user.clone(),
        token: None,
    };
    Outcome::data(json!({
        "username": user,
        "ticket": ticket::issue(&model.key, &user, call.now),
        "CSRFPreventionToken": ticket::csrf(&model.key, &user, call.now),
        "cap": capabilities(model, &who),
    }))
}

/// What the GUI may offer: privileges by area.
fn capabilities(model: &Model, who: &Who) -> Value {
    let areas = [
        (
            "access",
            "/access",
            &["Group.Allocate", "Permissions.Modify", "User.Modify"][..],
        ),
        ("dc", "/", &["SDN.", "Sys.Audit", "Sys.Modify"][..]),
        (
            "mapping",
            "/mapping",
            &["Mapping.", "Permissions.Modify"][..],
        ),
        ("nodes", "/nodes", &["Sys.", "Permissions.Modify"][..]),
        ("sdn", "/sdn", &["SDN.", "Permissions.Modify"][..]),
        (
            "storage",
            "/storage",
            &["Datastore.", "Permissions.Modify"][..],
        ),
        ("vms", "/vms", &["VM.", "Permissions.Modify"][..]),
    ];
    let mut all = Map::new();
    for (area, path, prefixes) in areas {
        let held = model.access.privileges(who, path);
        let fits =
            |privilege: &&String| prefixes.iter().any(|prefix| privilege.starts_with(prefix));
        let fields: Map<String, Value> = held
            .iter()
            .filter(fits)
            .map(|privilege| (privilege.clone(), json!(1)))
            .collect();
        all.insert(area.to_owned(), Value::Object(fields));
    }
    Value::Object(all)
}

pub(crate) fn permissions(model: &Model, call: &Call) -> Answer {
    let who = call
        .get("userid")
        .map_or_else(|| call.who.clone(), parse_who);
    let own = who.user == call.who.user;
    if !own {
        call.needs(model, "/access", &["Sys.Audit"])?;
    }
    let paths: BTreeSet<String> = match call.get("path") {
        Some(path) => BTreeSet::from([path.to_owned()]),
        None => model.access.reported_paths(),
    };
    let mut all = Map::new();
    for path in paths {
        let held = model.access.privileges(&who, &path);
        if !held.is_empty() {
            let fields: Map<String, Value> = held
                .into_iter()
                .map(|privilege| (privilege, json!(1)))
                .collect();
            all.insert(path, Value::Object(fields));
        }
    }
    Outcome::data(Value::Object(all))
}

fn parse_who(text: &str) -> Who {
    match text.split_once('!') {
        Some((user, token)) => Who {
            user: user.to_owned(),
            token: Some(token.to_owned()),
        },
        None => Who {
            user: text.to_owned(),
            token: None,
        },
    }
}

pub(crate) fn roles(model: &Model, _call: &Call) -> Answer {
    let all = model.access.all_roles();
    let all = all.into_iter().map(|(id, (privileges, special))| {
        let privileges: Vec<String> = privileges.into_iter().collect();
        json!({"roleid": id, "privs": privileges.join(","), "special": i32::from(special)})
    });
    Outcome::data(all.collect::<Vec<_>>())
}

pub(crate) fn add_role(model: &mut Model, call: &Call) -> Answer {
    let id = call.text("roleid").to_owned();
    if model.access.all_roles().contains_key(&id) {
        return Err(Refusal::Failed(format!(
            "create role failed: role '{id}' already exists"
        )));
    }
    let privileges = call
        .split("privs")
        .into_iter()
        .filter(|name| PRIVILEGES.contains(&name.as_str()));
    model.access.roles.insert(id, privileges.collect());
    Outcome::nothing()
}

pub(crate) fn delete_role(model: &mut Model, call: &Call) -> Answer {
    let id = call.text("roleid");
    let gone = model.access.roles.remove(id);
    gone.ok_or_else(|| format!("delete role failed: role '{id}' does not exist"))?;
    model.access.grants.retain(|grant| grant.role != id);
    Outcome::nothing()
}

pub(crate) fn add_user(model: &mut Model, call: &Call) -> Answer {
    let id = call.text("userid").to_owned();
    if model.access.users.contains_key(&id) {
        return Err(Refusal::Failed(format!(
            "create user failed: user '{id}' already exists"
        )));
    }
    let user = User {
        password: call.get("password").map(str::to_owned),
        comment: call.get("comment").map(str::to_owned),
        ..User::default()
    };
    model.access.users.insert(id, user);
    Outcome::nothing()
}

pub(crate) fn delete_user(model: &mut Model, call: &Call) -> Answer {
    let id = call.text("userid");
    let gone = model.access.users.remove(id);
    gone.ok_or_else(|| format!("delete user failed: user '{id}' does not exist"))?;
    model
        .access
        .grants
        .retain(|grant| grant.ugid != id && !grant.ugid.starts_with(&format!("{id}!")));
    Outcome::nothing()
}

pub(crate) fn add_token(model: &mut Model, call: &Call) -> Answer {
    let (owner, id) = (call.text("userid"), call.text("tokenid"));
    let user = model
        .access
        .users
        .get_mut(owner)
        .ok_or_else(|| format!("no such user ('{owner}')"))?;
    if user.tokens.contains_key(id) {
        return Err(Refusal::parameter(
            "tokenid",
            format!("Token '{id}' already exists."),
        ));
    }
    let [secret, _] = call.dice.uuids.clone();
    let privsep = call.get("privsep") != Some("0");
    let comment = call.get("comment").map(str::to_owned);
    user.tokens.insert(
        id.to_owned(),
        Token {
            secret: secret.clone(),
            privsep,
            comment: comment.clone(),
        },
    );
    let mut info = json!({"privsep": i32::from(privsep).to_string()});
    if let Some(comment) = comment {
        info["comment"] = json!(comment);
    }
    Outcome::data(json!({"full-tokenid": format!("{owner}!{id}"), "info": info, "value": secret}))
}

pub(crate) fn delete_token(model: &mut Model, call: &Call) -> Answer {
    let (owner, id) = (call.text("userid"), call.text("tokenid"));
    let user = model
        .access
        .users
        .get_mut(owner)
        .ok_or_else(|| format!("no such user ('{owner}')"))?;
    user.tokens
        .remove(id)
        .ok_or_else(|| format!("no such token '{id}' for user '{owner}'"))?;
    let full = format!("{owner}!{id}");
    model.access.grants.retain(|grant| grant.ugid != full);
    Outcome::nothing()
}

pub(crate) fn grants(model: &Model, _call: &Call) -> Answer {
    let all = model.access.grants.iter().map(|grant| {
        let kind = if grant.ugid.contains('!') {
            "token"
        } else {
            "user"
        };
        json!({
            "path": grant.path, "ugid": grant.ugid, "roleid": grant.role, "type": kind,
            "propagate": i32::from(grant.propagate),
        })
    });
    Outcome::data(all.collect::<Vec<_>>())
}

pub(crate) fn put_grants(model: &mut Model, call: &Call) -> Answer {
    if call.get("groups").is_some() {
        return Err(Refusal::NotImplemented(
            "groups are not modelled by the lab".to_owned(),
        ));
    }
    let path = call.text("path").to_owned();
    let propagate = call.get("propagate") != Some("0");
    let roles = call.split("roles");
    if let Some(role) = roles
        .iter()
        .find(|role| !model.access.all_roles().contains_key(*role))
    {
        return Err(Refusal::Failed(format!(
            "ACL update failed: role '{role}' does not exist"
        )));
    }
    for ugid in call.split("users").into_iter().chain(call.split("tokens")) {
        for role in &roles {
            model
                .access
                .grants
                .retain(|grant| !(grant.path == path && grant.ugid == ugid && grant.role == *role));
            if !call.is_on("delete") {
                model.access.grants.push(Grant {
                    path: path.clone(),
                    ugid: ugid.clone(),
                    role: role.clone(),
                    propagate,
                });
            }
        }
    }
    Outcome::nothing()
}

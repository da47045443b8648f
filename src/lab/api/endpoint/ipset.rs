//! IP sets and their members.

use super::firewall::place;
use crate::lab::api::{
    call::{Answer, Call, Outcome, Refusal},
    model::{
        cluster::Model,
        digest::{digest, digest_of},
        firewall::{IpSet, Member, assert_unchanged},
    },
    table::address,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn sets_digest(sets: &BTreeMap<String, IpSet>) -> String {
    digest_of(sets.iter().map(|(name, set)| {
        format!(
            "{name} {:?}
",
            set.comment
        )
    }))
}

fn members_digest(set: &IpSet) -> String {
    digest(&format!("{:?}", set.members))
}

pub(crate) fn list(model: &Model, call: &Call) -> Answer {
    let sets = model.firewall.scope(&place(call)).ipsets;
    let digest = sets_digest(&sets);
    let all = sets.iter().map(|(name, set)| {
        let mut item = json!({"name": name, "digest": digest});
        if let Some(comment) = &set.comment {
            item["comment"] = json!(comment);
        }
        item
    });
    Outcome::data(all.collect::<Vec<_>>())
}

pub(crate) fn create(model: &mut Model, call: &Call) -> Answer {
    let name = call.text("name").to_owned();
    let comment = call
        .get("comment")
        .filter(|text| !text.is_empty())
        .map(str::to_owned);
    let sets = &mut model.firewall.scope_mut(&place(call)).ipsets;
    if let Some(old) = call.get("rename") {
        assert_unchanged(&sets_digest(sets), call.get("digest"))?;
        let renamed = old != name;
        if !sets.contains_key(old) {
            return Err(Refusal::parameter(
                "name",
                format!("IPSet '{old}' does not exist"),
            ));
        }
        if renamed && sets.contains_key(&name) {
            return Err(Refusal::parameter(
                "name",
                format!("IPSet '{name}' already exists"),
            ));
        }
        let mut set = sets.remove(old).unwrap_or_default();
        set.comment = comment.or(set.comment);
        sets.insert(name, set);
        return Outcome::nothing();
    }
    if sets.contains_key(&name) {
        return Err(Refusal::parameter(
            "name",
            format!("IPSet '{name}' already exists"),
        ));
    }
    sets.insert(
        name,
        IpSet {
            comment,
            members: Vec::new(),
        },
    );
    Outcome::nothing()
}

pub(crate) fn delete(model: &mut Model, call: &Call) -> Answer {
    let name = call.text("name");
    let sets = &mut model.firewall.scope_mut(&place(call)).ipsets;
    let set = sets
        .get(name)
        .ok_or_else(|| format!("no such IPSet '{name}'"))?;
    if !set.members.is_empty() && !call.is_on("force") {
        return Err(Refusal::Failed(format!("IPSet '{name}' is not empty")));
    }
    sets.remove(name);
    Outcome::nothing()
}

fn find<'m>(model: &'m mut Model, call: &Call) -> Result<&'m mut IpSet, Refusal> {
    let name = call.text("name");
    let sets = &mut model.firewall.scope_mut(&place(call)).ipsets;
    Ok(sets
        .get_mut(name)
        .ok_or_else(|| format!("no such IPSet '{name}'"))?)
}

fn read(model: &Model, call: &Call) -> Result<IpSet, Refusal> {
    let name = call.text("name");
    let set = model.firewall.scope(&place(call)).ipsets.remove(name);
    Ok(set.ok_or_else(|| format!("no such IPSet '{name}'"))?)
}

fn fields(member: &Member) -> Value {
    let mut item = json!({"cidr": member.cidr});
    if member.nomatch {
        item["nomatch"] = json!(1);
    }
    if let Some(comment) = &member.comment {
        item["comment"] = json!(comment);
    }
    item
}

pub(crate) fn members(model: &Model, call: &Call) -> Answer {
    let set = read(model, call)?;
    let digest = members_digest(&set);
    let all = set.members.iter().map(|member| {
        let mut item = fields(member);
        item["digest"] = json!(digest);
        item
    });
    Outcome::data(all.collect::<Vec<_>>())
}

pub(crate) fn member(model: &Model, call: &Call) -> Answer {
    let cidr = address::normalised(call.text("cidr"));
    let set = read(model, call)?;
    let found = set.members.iter().find(|member| member.cidr == cidr);
    let found = found.ok_or_else(|| Refusal::parameter("cidr", "no such IP/Network"))?;
    Outcome::data(fields(found))
}

pub(crate) fn add_member(model: &mut Model, call: &Call) -> Answer {
    let cidr = address::normalised(call.text("cidr"));
    if address::is_alias(&cidr) && !model.firewall.has_alias(&place(call), &cidr) {
        return Err(Refusal::Failed(format!("no such alias '{cidr}'")));
    }
    let comment = call.get("comment").map(str::to_owned);
    let nomatch = call.is_on("nomatch");
    let set = find(model, call)?;
    if set.members.iter().any(|member| member.cidr == cidr) {
        return Err(Refusal::parameter(
            "cidr",
            format!("address '{cidr}' already exists"),
        ));
    }
    set.members.insert(
        0,
        Member {
            cidr,
            nomatch,
            comment,
        },
    );
    Outcome::nothing()
}

pub(crate) fn put_member(model: &mut Model, call: &Call) -> Answer {
    let cidr = address::normalised(call.text("cidr"));
    let (comment, nomatch) = (
        call.get("comment").map(str::to_owned),
        call.is_on("nomatch"),
    );
    let digest = call.get("digest").map(str::to_owned);
    let set = find(model, call)?;
    assert_unchanged(&members_digest(set), digest.as_deref())?;
    let found = set.members.iter_mut().find(|member| member.cidr == cidr);
    let found = found.ok_or_else(|| Refusal::parameter("cidr", "no such IP/Network"))?;
    found.nomatch = nomatch;
    found.comment = comment;
    Outcome::nothing()
}

pub(crate) fn delete_member(model: &mut Model, call: &Call) -> Answer {
    let cidr = address::normalised(call.text("cidr"));
    let digest = call.get("digest").map(str::to_owned);
    let set = find(model, call)?;
    assert_unchanged(&members_digest(set), digest.as_deref())?;
    set.members.retain(|member| member.cidr != cidr);
    Outcome::nothing()
}

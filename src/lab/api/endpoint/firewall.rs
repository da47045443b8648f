//! Firewall options, rules, groups, aliases.

use crate::lab::api::{
    call::{Answer, Call, Outcome, Refusal},
    model::{
        cluster::Model,
        digest::digest_of,
        firewall::{
            self, Alias, Group, Place, Rule, assert_unchanged, options_digest, rules_digest, shift,
        },
        macros::MACROS,
    },
    table::{firewall_kind, param::Shape},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The file that a call's path means.
pub(super) fn place(call: &Call) -> Place {
    if let Some(group) = call.get("group") {
        return Place::Group(group.to_lowercase());
    }
    match (call.get("vmid"), call.get("node")) {
        (Some(_), _) => Place::Guest(call.vmid()),
        (None, Some(node)) => Place::Node(node.to_owned()),
        (None, None) => Place::Cluster,
    }
}

fn typed(name: &str, value: &str) -> Value {
    let is_number = matches!(firewall_kind(name), Some(Shape::Boolean | Shape::Integer));
    match value.parse::<i64>() {
        Ok(number) if is_number => json!(number),
        _ => json!(value),
    }
}

pub(crate) fn options(model: &Model, call: &Call) -> Answer {
    let place = place(call);
    let mut options = model.firewall.scope(&place).options;
    let digest = options_digest(&options);
    if place == Place::Cluster && options.contains_key("enable") {
        options.insert(
            "enable".to_owned(),
            model.firewall.enabled(call.now, call.scale).to_string(),
        );
    }
    let mut fields: serde_json::Map<String, Value> = options
        .iter()
        .map(|(name, value)| (name.clone(), typed(name, value)))
        .collect();
    fields.insert("digest".to_owned(), json!(digest));
    Outcome::data(Value::Object(fields))
}

const NOT_OPTIONS: &[&str] = &["node", "vmid", "digest", "delete"];

pub(crate) fn put_options(model: &mut Model, call: &Call) -> Answer {
    let place = place(call);
    let options = &mut model.firewall.scope_mut(&place).options;
    assert_unchanged(&options_digest(options), call.get("digest"))?;
    for name in call.split("delete") {
        options.remove(&name);
    }
    let mut enforce = false;
    for (name, values) in call
        .given
        .iter()
        .filter(|(name, _)| !NOT_OPTIONS.contains(&name.as_str()))
    {
        let mut value = values.first().cloned().unwrap_or_default();
        if place == Place::Cluster
            && name == "enable"
            && value.parse::<i64>().is_ok_and(|number| number > 1)
        {
            value = call.now.to_string();
            enforce = true;
        }
        options.insert(name.clone(), value);
    }
    Ok(Outcome {
        enforce,
        ..Outcome::default()
    })
}

pub(crate) fn rules(model: &Model, call: &Call) -> Answer {
    let place = place(call);
    let rules = model.firewall.rules(&place)?;
    let all = (0..rules.len())
        .map(|at| shown(model, &place, &rules, at))
        .collect::<Vec<_>>();
    Outcome::data(all)
}

fn shown(model: &Model, place: &Place, rules: &[Rule], at: usize) -> Value {
    let rule = &rules[at];
    let mut fields: serde_json::Map<String, Value> = rule
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let is_on = rule.get("enable").is_some_and(|on| on != "0");
    fields.insert("enable".to_owned(), json!(i32::from(is_on)));
    fields.insert("pos".to_owned(), json!(at));
    fields.insert("digest".to_owned(), json!(rules_digest(rules)));
    if let Some(family) = family(rule) {
        fields.insert("ipversion".to_owned(), json!(family));
    }
    let errors = model.firewall.complaints(place, rule);
    if !errors.is_empty() {
        fields.insert("errors".to_owned(), json!(errors));
    }
    Value::Object(fields)
}

fn family(rule: &Rule) -> Option<u8> {
    let of_address = ["source", "dest"].iter().find_map(|end| {
        let text = rule.get(*end)?;
        crate::lab::api::table::address::family(text).ok().flatten()
    });
    let of_icmp = match rule.get("proto").map(String::as_str) {
        Some("icmp") => Some(4),
        Some("icmpv6" | "ipv6-icmp") => Some(6),
        _ => None,
    };
    of_address.or_else(|| rule.contains_key("icmp-type").then_some(of_icmp).flatten())
}

fn position(call: &Call, length: usize) -> Result<usize, Refusal> {
    let text = call.text("pos");
    text.parse::<usize>()
        .ok()
        .filter(|at| *at < length)
        .ok_or_else(|| Refusal::Failed(format!("no rule at position {text}")))
}

pub(crate) fn rule(model: &Model, call: &Call) -> Answer {
    let place = place(call);
    let rules = model.firewall.rules(&place)?;
    let at = position(call, rules.len())?;
    let mut rule = shown(model, &place, &rules, at);
    rule["pos"] = json!(at.to_string());
    Outcome::data(rule)
}

const NOT_FIELDS: &[&str] = &["node", "vmid", "group", "pos", "digest", "delete", "moveto"];

/// The fields that a call sets; an empty one or `-` removes the field.
fn merge(rule: &mut Rule, call: &Call) {
    for name in call.split("delete") {
        rule.remove(&name);
    }
    for (name, values) in call
        .given
        .iter()
        .filter(|(name, _)| !NOT_FIELDS.contains(&name.as_str()))
    {
        let value = values.first().cloned().unwrap_or_default();
        if value.is_empty() || value == "-" {
            rule.remove(name);
            continue;
        }
        // A comment is one line of the file.
        let value = if name == "comment" {
            value.lines().next().unwrap_or_default().to_owned()
        } else {
            value
        };
        rule.insert(name.clone(), value);
    }
}

fn refuse(errors: BTreeMap<String, String>) -> Result<(), Refusal> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Refusal::Parameters(errors))
    }
}

pub(crate) fn add_rule(model: &mut Model, call: &Call) -> Answer {
    let place = place(call);
    model.firewall.rules(&place)?;
    let mut rule = Rule::from([("enable".to_owned(), "0".to_owned())]);
    merge(&mut rule, call);
    refuse(model.firewall.complaints(&place, &rule))?;
    model.firewall.rules_mut(&place)?.insert(0, rule);
    Outcome::nothing()
}

pub(crate) fn put_rule(model: &mut Model, call: &Call) -> Answer {
    let place = place(call);
    let mut rules = model.firewall.rules(&place)?;
    assert_unchanged(&rules_digest(&rules), call.get("digest"))?;
    let at = position(call, rules.len())?;
    if let Some(to) = call.number::<usize>("moveto") {
        shift(&mut rules, at, to);
    } else {
        merge(&mut rules[at], call);
        refuse(model.firewall.complaints(&place, &rules[at]))?;
    }
    *model.firewall.rules_mut(&place)? = rules;
    Outcome::nothing()
}

pub(crate) fn delete_rule(model: &mut Model, call: &Call) -> Answer {
    let rules = model.firewall.rules_mut(&place(call))?;
    assert_unchanged(&rules_digest(rules), call.get("digest"))?;
    let at = position(call, rules.len())?;
    rules.remove(at);
    Outcome::nothing()
}

pub(crate) fn groups(model: &Model, _call: &Call) -> Answer {
    let groups = model.firewall.groups.iter();
    let digest = digest_of(groups.map(|(name, group)| {
        format!(
            "{name}:{:?}
",
            group.comment
        )
    }));
    let all = model.firewall.groups.iter().map(|(name, group)| {
        let mut item = json!({"group": name, "digest": digest});
        if let Some(comment) = &group.comment {
            item["comment"] = json!(comment);
        }
        item
    });
    Outcome::data(all.collect::<Vec<_>>())
}

pub(crate) fn add_group(model: &mut Model, call: &Call) -> Answer {
    let name = call.text("group").to_lowercase();
    let comment = call
        .get("comment")
        .filter(|text| !text.is_empty())
        .map(str::to_owned);
    let groups = &mut model.firewall.groups;
    if let Some(old) = call.get("rename").map(str::to_lowercase) {
        if !groups.contains_key(&old) {
            return Err(Refusal::parameter(
                "group",
                format!("Security group '{old}' does not exist"),
            ));
        }
        if old != name && groups.contains_key(&name) {
            return Err(Refusal::parameter(
                "group",
                format!("Security group '{name}' already exists"),
            ));
        }
        let mut group = groups.remove(&old).unwrap_or_default();
        group.comment = comment.or(group.comment);
        groups.insert(name, group);
        return Outcome::nothing();
    }
    if groups.contains_key(&name) {
        return Err(Refusal::parameter(
            "group",
            format!("Security group '{name}' already exists"),
        ));
    }
    groups.insert(
        name,
        Group {
            comment,
            rules: Vec::new(),
        },
    );
    Outcome::nothing()
}

pub(crate) fn delete_group(model: &mut Model, call: &Call) -> Answer {
    let name = call.text("group").to_lowercase();
    if model
        .firewall
        .groups
        .get(&name)
        .is_some_and(|group| !group.rules.is_empty())
    {
        return Err(Refusal::Failed(format!(
            "Security group '{name}' is not empty"
        )));
    }
    model.firewall.groups.remove(&name);
    Outcome::nothing()
}

fn aliases_digest(aliases: &BTreeMap<String, Alias>) -> String {
    let all = aliases.values();
    digest_of(all.map(|alias| {
        format!(
            "{} {} {:?}
",
            alias.name, alias.cidr, alias.comment
        )
    }))
}

fn alias_fields(alias: &Alias) -> Value {
    let is_v6 = alias.cidr.contains(':');
    let mut item =
        json!({"name": alias.name, "cidr": alias.cidr, "ipversion": if is_v6 { 6 } else { 4 }});
    if let Some(comment) = &alias.comment {
        item["comment"] = json!(comment);
    }
    item
}

pub(crate) fn aliases(model: &Model, call: &Call) -> Answer {
    let aliases = model.firewall.scope(&place(call)).aliases;
    let digest = aliases_digest(&aliases);
    let all = aliases.values().map(|alias| {
        let mut item = alias_fields(alias);
        item["digest"] = json!(digest);
        item
    });
    Outcome::data(all.collect::<Vec<_>>())
}

pub(crate) fn alias(model: &Model, call: &Call) -> Answer {
    let aliases = model.firewall.scope(&place(call)).aliases;
    let found = aliases.get(&call.text("name").to_lowercase());
    let found = found.ok_or_else(|| Refusal::parameter("name", "no such alias"))?;
    Outcome::data(alias_fields(found))
}

pub(crate) fn add_alias(model: &mut Model, call: &Call) -> Answer {
    let name = call.text("name").to_owned();
    let aliases = &mut model.firewall.scope_mut(&place(call)).aliases;
    if aliases.contains_key(&name.to_lowercase()) {
        return Err(Refusal::parameter(
            "name",
            format!("alias '{}' already exists", name.to_lowercase()),
        ));
    }
    let comment = call.get("comment").map(str::to_owned);
    aliases.insert(
        name.to_lowercase(),
        Alias {
            name,
            cidr: call.text("cidr").to_owned(),
            comment,
        },
    );
    Outcome::nothing()
}

pub(crate) fn put_alias(model: &mut Model, call: &Call) -> Answer {
    let name = call.text("name").to_lowercase();
    let aliases = &mut model.firewall.scope_mut(&place(call)).aliases;
    assert_unchanged(&aliases_digest(aliases), call.get("digest"))?;
    let mut found = aliases
        .get(&name)
        .cloned()
        .ok_or_else(|| Refusal::parameter("name", "no such alias"))?;
    call.text("cidr").clone_into(&mut found.cidr);
    // The whole entry is written anew: a comment that is not given again is gone.
    found.comment = call
        .get("comment")
        .filter(|comment| !comment.is_empty())
        .map(str::to_owned);
    if let Some(new) = call.get("rename") {
        if new.to_lowercase() != name && aliases.contains_key(&new.to_lowercase()) {
            return Err(Refusal::parameter(
                "name",
                format!("alias '{}' already exists", new.to_lowercase()),
            ));
        }
        new.clone_into(&mut found.name);
    }
    aliases.remove(&name);
    aliases.insert(found.name.to_lowercase(), found);
    Outcome::nothing()
}

pub(crate) fn delete_alias(model: &mut Model, call: &Call) -> Answer {
    let aliases = &mut model.firewall.scope_mut(&place(call)).aliases;
    assert_unchanged(&aliases_digest(aliases), call.get("digest"))?;
    aliases.remove(&call.text("name").to_lowercase());
    Outcome::nothing()
}

pub(crate) fn macros(_model: &Model, _call: &Call) -> Answer {
    let all = MACROS
        .iter()
        .map(|(name, descr)| json!({"macro": name, "descr": descr}));
    Outcome::data(all.collect::<Vec<_>>())
}

pub(crate) fn references(model: &Model, call: &Call) -> Answer {
    let place = place(call);
    let kind = call.get("type");
    let mut all = Vec::new();
    let mut collect = |scope: &firewall::Scope, name: &str| {
        for (set, held) in scope
            .ipsets
            .iter()
            .filter(|_| kind.is_none_or(|kind| kind == "ipset"))
        {
            let mut item =
                json!({"type": "ipset", "name": set, "ref": format!("+{set}"), "scope": name});
            if let Some(comment) = &held.comment {
                item["comment"] = json!(comment);
            }
            all.push(item);
        }
        for alias in scope
            .aliases
            .values()
            .filter(|_| kind.is_none_or(|kind| kind == "alias"))
        {
            let mut item =
                json!({"type": "alias", "name": alias.name, "ref": alias.name, "scope": name});
            if let Some(comment) = &alias.comment {
                item["comment"] = json!(comment);
            }
            all.push(item);
        }
    };
    collect(&model.firewall.cluster, "dc");
    if place != Place::Cluster {
        collect(&model.firewall.scope(&place), "guest");
    }
    Outcome::data(all)
}

pub(crate) fn log(_model: &Model, _call: &Call) -> Answer {
    let mut outcome = Outcome {
        data: json!([{"n": 1, "t": "no content"}]),
        ..Outcome::default()
    };
    outcome.beside.insert("total".to_owned(), json!(1));
    Ok(outcome)
}

//! The table in the words of the published schema, so that a test can compare the two.

use super::{
    endpoint::{Check, Endpoint, PATH},
    lookup::all,
    param::{Param, Params, Shape},
};
use serde_json::{Map, Value, json};

/// Every endpoint: `method`, `path`, `check` and `properties` as the schema writes them.
pub fn described() -> Vec<Value> {
    all().map(endpoint).collect()
}

fn endpoint(endpoint: &Endpoint) -> Value {
    let mut fields = properties(endpoint.params);
    let own = PATH
        .iter()
        .filter(|param| endpoint.path.contains(&format!("{{{}}}", param.name)));
    for param in own {
        fields
            .entry(param.name.to_owned())
            .or_insert_with(|| property(param));
    }
    json!({
        "method": endpoint.method.as_str(),
        "path": endpoint.path,
        "properties": fields,
        "permissions": match endpoint.check {
            Check::World => json!({"user": "world"}),
            Check::Everyone => json!({"user": "all"}),
            Check::Perm(..) | Check::Any(..) | Check::PermIf(..) | Check::And(_) | Check::Or(_) | Check::Modify(_)
            | Check::User(_) | Check::UserGroup(_)
            | Check::NewUserGroup(_) => json!({"check": words(&endpoint.check)}),
        },
        "allowtoken": i32::from(!endpoint.is_ticket_only),
    })
}

fn words(check: &Check) -> Value {
    let nested = |name: &str, all: &[Check]| {
        let mut words = vec![json!(name)];
        words.extend(all.iter().map(self::words));
        Value::Array(words)
    };
    match check {
        Check::World | Check::Everyone => Value::Null,
        Check::Perm(path, privileges) => json!(["perm", path, privileges]),
        Check::Any(path, privileges) => json!(["perm", path, privileges, "any", 1]),
        Check::PermIf(path, privileges, name) => {
            json!(["perm", path, privileges, "require_param", name])
        }
        Check::And(all) => nested("and", all),
        Check::Or(all) => nested("or", all),
        Check::Modify(path) => json!(["perm-modify", path]),
        Check::User(privilege) => json!(["userid-param", privilege]),
        Check::UserGroup(privileges) => json!(["userid-group", privileges]),
        Check::NewUserGroup(privileges) => {
            json!(["userid-group", privileges, "groups_param", "create"])
        }
    }
}

fn properties(params: Params) -> Map<String, Value> {
    let mut fields = Map::new();
    for param in params.iter().flat_map(|list| list.iter()) {
        for name in param.names() {
            fields.insert(name, property(param));
        }
    }
    fields
}

fn property(param: &Param) -> Value {
    if let Some(of) = param.alias {
        let mut fields = json!({"alias": of});
        if let Some(key) = param.key_alias {
            fields["keyAlias"] = json!(key);
        }
        return fields;
    }
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    let (least, most) = match param.kind.shape {
        Shape::Text | Shape::Properties(_) | Shape::Word(_) => ("minLength", "maxLength"),
        Shape::Boolean | Shape::Integer | Shape::Number | Shape::List(_) => ("minimum", "maximum"),
    };
    let name = match param.kind.shape {
        Shape::Boolean => "boolean",
        Shape::Integer => "integer",
        // Numbers to choose from are numbers still.
        Shape::Word(words) if words.iter().all(|word| word.parse::<u32>().is_ok()) => "integer",
        Shape::Number => "number",
        Shape::Text | Shape::Word(_) | Shape::Properties(_) => "string",
        Shape::List(_) => "array",
    };
    put("type", json!(name));
    match param.kind.shape {
        Shape::Word(words) => drop(put("enum", json!(words))),
        Shape::Properties(inner) => drop(put("format", Value::Object(properties(inner)))),
        Shape::List(Some(inner)) => {
            put(
                "items",
                json!({"type": "string", "format": properties(inner)}),
            );
        }
        Shape::Boolean | Shape::Integer | Shape::Number | Shape::Text | Shape::List(None) => {}
    }
    let texts = [
        ("pattern", param.kind.pattern),
        ("format", param.kind.format),
        ("requires", param.requires),
        ("default", param.default),
    ];
    for (name, text) in texts {
        text.map(|text| put(name, json!(text)));
    }
    for (name, limit) in [(least, param.kind.min), (most, param.kind.max)] {
        limit.map(|limit| put(name, json!(limit)));
    }
    if !param.required {
        put("optional", json!(1));
    }
    if param.default_key {
        put("default_key", json!(1));
    }
    Value::Object(fields)
}

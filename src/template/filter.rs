//! The filters that templates may use beside Tera's own.

use super::secret::touches;
use ipnet::IpNet;
use tera::{Error, Kwargs, State, Tera, TeraResult, Value};

/// Said by a filter that was handed a secret; [`super::text`] turns it into its own code.
pub(super) const NOT_A_SECRET: &str = "a secret is filled in last and cannot be filtered";

pub(super) fn register(tera: &mut Tera) {
    tera.register_filter("yaml", json);
    tera.register_filter("json", json);
    tera.register_filter("sh", sh);
    tera.register_filter("network_address", network_address);
    tera.register_filter("netmask", netmask);
    tera.register_filter("prefix_length", prefix_length);
}

/// JSON is a subset of YAML, so one text serves both, and nothing in it is read as another type.
fn json(value: &Value, _: Kwargs, _: &State) -> TeraResult<Value> {
    let text =
        serde_json::to_string(value).map_err(|error| Error::chain("this has no JSON", error))?;
    refuse_secret(&text)?;
    Ok(Value::safe_string(&text))
}

fn sh(value: &Value, _: Kwargs, _: &State) -> TeraResult<Value> {
    let text = value.to_string();
    refuse_secret(&text)?;
    Ok(Value::safe_string(&format!(
        "'{}'",
        text.replace('\'', r"'\''")
    )))
}

fn network_address(value: &str, _: Kwargs, _: &State) -> TeraResult<String> {
    Ok(ipv4(value)?.network().to_string())
}

fn netmask(value: &str, _: Kwargs, _: &State) -> TeraResult<String> {
    Ok(ipv4(value)?.netmask().to_string())
}

fn prefix_length(value: &str, _: Kwargs, _: &State) -> TeraResult<String> {
    Ok(ipv4(value)?.prefix_len().to_string())
}

fn ipv4(text: &str) -> TeraResult<IpNet> {
    match text.parse() {
        Ok(net @ IpNet::V4(_)) => Ok(net),
        Ok(IpNet::V6(_)) | Err(_) => Err(Error::message(format!(
            "`{text}` is not an IPv4 network such as 10.8.0.0/24"
        ))),
    }
}

fn refuse_secret(text: &str) -> TeraResult<()> {
    if touches(text) {
        Err(Error::message(NOT_A_SECRET))
    } else {
        Ok(())
    }
}

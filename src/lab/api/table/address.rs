//! Addresses and ports as the firewall's rules and sets write them.

use ipnet::IpNet;
use std::net::IpAddr;

/// `address/bits`, of one family if asked for. Host bits may be set.
pub(crate) fn is_cidr(text: &str, family: Option<u8>) -> bool {
    text.parse::<IpNet>().is_ok_and(|net| match (family, net) {
        (None, _) | (Some(4), IpNet::V4(_)) | (Some(6), IpNet::V6(_)) => true,
        (Some(_), _) => false,
    })
}

/// An address or a network.
pub(crate) fn is_address_or_network(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok() || is_cidr(text, None)
}

/// The name of an alias, with or without its scope.
pub(crate) fn is_alias(text: &str) -> bool {
    let name = text
        .strip_prefix("dc/")
        .or_else(|| text.strip_prefix("guest/"))
        .unwrap_or(text);
    name.len() >= 2
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// The family of a list of addresses; none for a reference to a set or an alias.
///
/// # Errors
/// What the real parser says.
pub(crate) fn family(text: &str) -> Result<Option<u8>, String> {
    if let Some(name) = text.strip_prefix('+') {
        if name.contains(char::is_whitespace) || name.is_empty() {
            return Err("invalid IP address: Invalid chars in IP".to_owned());
        }
        return Ok(None);
    }
    // An empty list is valid: a rule's field is removed by setting it to nothing.
    if is_alias(text) || text.is_empty() {
        return Ok(None);
    }
    if text.ends_with(',') || text.starts_with(',') || text.contains(",,") {
        return Err("extraneous commas in list".to_owned());
    }
    let mut seen = None;
    let mut has_range = false;
    for element in text.split(',') {
        has_range |= element.contains('-');
        let this = element_family(element).map_err(|why| format!("invalid IP address: {why}"))?;
        if seen.is_some_and(|before| before != this) {
            return Err(format!(
                "detected mixed ipv4/ipv6 addresses in address list '{text}'"
            ));
        }
        seen = Some(this);
    }
    if has_range && text.contains(',') {
        return Err("you can't use a range in a list".to_owned());
    }
    Ok(seen)
}

fn element_family(element: &str) -> Result<u8, String> {
    if let Some((first, last)) = element.split_once('-') {
        let first = first.parse::<IpAddr>().map_err(|_| invalid(first))?;
        let last = last.parse::<IpAddr>().map_err(|_| invalid(last))?;
        if first > last {
            return Err(format!(
                "begin address is greater than end address {element}"
            ));
        }
        return Ok(of(first));
    }
    if let Ok(address) = element.parse::<IpAddr>() {
        return Ok(of(address));
    }
    let net: IpNet = element.parse().map_err(|_| invalid(element))?;
    if net.trunc() == net {
        Ok(of(net.addr()))
    } else {
        Err(format!("Invalid prefix {element}"))
    }
}

fn invalid(element: &str) -> String {
    if element
        .chars()
        .all(|c| c.is_ascii_hexdigit() || ".:/".contains(c))
    {
        format!("Invalid IP address {element}")
    } else {
        "Invalid chars in IP".to_owned()
    }
}

fn of(address: IpAddr) -> u8 {
    if address.is_ipv4() { 4 } else { 6 }
}

/// A rule's `source` or `dest`.
///
/// # Errors
/// What the real parser says.
pub(crate) fn check_list(text: &str) -> Result<(), String> {
    family(text).map(|_| ())
}

/// A rule's ports: numbers, ranges and service names, at most 15 numbers.
///
/// # Errors
/// What the real parser says.
pub(crate) fn check_ports(text: &str) -> Result<(), String> {
    let mut count = 0;
    for item in text.split(',').filter(|_| !text.is_empty()) {
        if let Some((first, last)) = item.split_once(':') {
            count += 2;
            let first = port(first)?;
            let last = port(last)?;
            if first > last {
                return Err(format!(
                    "backwards range '{first}:{last}' not allowed, did you mean '{last}:{first}'?"
                ));
            }
        } else {
            count += 1;
            if !SERVICES.contains(&item) {
                port(item)?;
            }
        }
    }
    if count > 15 {
        return Err("too many entries in port list (> 15 numbers)".to_owned());
    }
    Ok(())
}

fn port(text: &str) -> Result<u32, String> {
    text.parse::<u32>()
        .ok()
        .filter(|port| *port <= 65_535)
        .ok_or_else(|| format!("invalid port '{text}'"))
}

/// Names of `/etc/services` that rules are written with.
const SERVICES: &[&str] = &[
    "ssh",
    "domain",
    "http",
    "https",
    "ntp",
    "smtp",
    "submission",
    "imap",
    "imaps",
    "ldap",
    "ldaps",
    "nfs",
    "snmp",
    "postgresql",
    "mysql",
    "openvpn",
];

/// A member of a set or an alias, with its host bits cleared and without a full prefix length.
pub(crate) fn normalised(text: &str) -> String {
    match text.parse::<IpNet>() {
        Ok(net) if net.prefix_len() == net.max_prefix_len() => net.addr().to_string(),
        Ok(net) => net.trunc().to_string(),
        Err(_) => text.to_owned(),
    }
}

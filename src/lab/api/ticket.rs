//! Tickets and the tokens against cross-site requests: signed, good for two hours.

use super::model::digest::hex;
use sha2::{Digest as _, Sha256};

const LIFETIME: i64 = 7_200;

/// Issues a ticket.
pub(crate) fn issue(key: &str, user: &str, now: i64) -> String {
    format!(
        "PVE:{user}:{now:08X}::{}",
        sign(key, &format!("ticket:{user}:{now:08X}"))
    )
}

/// The owner of a ticket.
///
/// # Errors
/// The reason phrase for one that is forged or too old.
pub(crate) fn read(key: &str, ticket: &str, now: i64) -> Result<String, String> {
    let refused = || "permission denied - invalid PVE ticket".to_owned();
    let body = ticket.strip_prefix("PVE:").ok_or_else(refused)?;
    let (body, signature) = body.split_once("::").ok_or_else(refused)?;
    let (user, stamp) = body.rsplit_once(':').ok_or_else(refused)?;
    let issued = i64::from_str_radix(stamp, 16).map_err(|_| refused())?;
    let is_fresh = (-300..LIFETIME).contains(&(now - issued));
    if signature == sign(key, &format!("ticket:{user}:{stamp}")) && is_fresh {
        Ok(user.to_owned())
    } else {
        Err(refused())
    }
}

/// The token that writes with a ticket must carry.
pub(crate) fn csrf(key: &str, user: &str, now: i64) -> String {
    format!("{now:08X}:{}", sign(key, &format!("csrf:{user}:{now:08X}")))
}

/// Whether such a token belongs to the user and is fresh.
pub(crate) fn is_csrf(key: &str, user: &str, token: &str, now: i64) -> bool {
    token.split_once(':').is_some_and(|(stamp, signature)| {
        let issued = i64::from_str_radix(stamp, 16).unwrap_or(0);
        let is_fresh = (-300..LIFETIME).contains(&(now - issued));
        is_fresh && signature == sign(key, &format!("csrf:{user}:{stamp}"))
    })
}

fn sign(key: &str, text: &str) -> String {
    let digest = Sha256::new()
        .chain_update(key)
        .chain_update(b"\0")
        .chain_update(text)
        .finalize();
    hex(&digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_good_for_two_hours_and_not_forgeable() {
        let ticket = issue("key", "root@pam", 1_000_000);
        assert_eq!(read("key", &ticket, 1_007_199).as_deref(), Ok("root@pam"));
        assert!(read("key", &ticket, 1_007_200).is_err());
        assert!(read("other", &ticket, 1_000_000).is_err());
        assert!(read("key", &ticket.replace("root", "toor"), 1_000_000).is_err());
    }
}

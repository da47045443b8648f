//! Host and path -> the answer of a site.

use super::webdav::RentedFolder;
use axum::http::{Method, StatusCode};
use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

/// Tells its visitors their address, as the public one of this name does.
const WHO_ASKS: &str = "ipinfo.io";
/// Where a stand-in of a VPN client introduces its key; a real provider knows its customers.
const PROVIDER: &str = "vpn-provider.example.net";

/// What a customer must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The server's public key.
    pub server: String,
    /// `ADDRESS:PORT`.
    pub endpoint: String,
}

/// A provider that takes customers.
pub trait Admits: fmt::Debug + Send + Sync {
    /// Lets this public key in under this address.
    ///
    /// # Errors
    /// Why not.
    fn admit(&self, key: &str, address: Ipv4Addr) -> Result<Account, String>;
}

/// The sites of one lab.
#[derive(Debug, Clone, Default)]
pub struct Sites {
    provider: Option<Arc<dyn Admits>>,
    folders: BTreeMap<String, RentedFolder>,
}

impl Sites {
    /// The sites, with a VPN provider when there is one.
    pub fn new(provider: Option<Arc<dyn Admits>>) -> Self {
        Self {
            provider,
            folders: BTreeMap::new(),
        }
    }

    /// With rented folders, by host name.
    #[must_use]
    pub fn renting(self, folders: BTreeMap<String, RentedFolder>) -> Self {
        Self { folders, ..self }
    }

    /// The rented folder with this host name.
    pub(in crate::lab::images) fn folder(&self, host: &str) -> Option<RentedFolder> {
        self.folders.get(host).cloned()
    }

    /// What a site says; none when it is none of ours.
    pub(in crate::lab::images) fn answer(
        &self,
        host: &str,
        method: &Method,
        path: &str,
        body: &str,
        from: Option<IpAddr>,
    ) -> Option<(StatusCode, String)> {
        match (host, path) {
            (WHO_ASKS, "/ip") => Some(match from {
                Some(from) => (StatusCode::OK, format!("{from}\n")),
                None => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
            }),
            (PROVIDER, "/peers") if method == Method::POST => Some(self.admit(body)),
            _ => None,
        }
    }

    fn admit(&self, body: &str) -> (StatusCode, String) {
        let Some(provider) = &self.provider else {
            let text = "this lab has no VPN provider: install wireguard-go and wireguard-tools on its machine\n";
            return (StatusCode::SERVICE_UNAVAILABLE, text.to_owned());
        };
        let words = body.trim().split_once(' ');
        let Some((key, Ok(address))) = words.map(|(key, address)| (key, address.parse())) else {
            let text = "write `PUBLIC-KEY ADDRESS`\n".to_owned();
            return (StatusCode::BAD_REQUEST, text);
        };
        let is_key = key.len() == 44
            && key
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
        if !is_key {
            return (StatusCode::BAD_REQUEST, "not a public key\n".to_owned());
        }
        match provider.admit(key, address) {
            Ok(account) => (
                StatusCode::OK,
                format!("{} {}\n", account.server, account.endpoint),
            ),
            Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, why + "\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Counter;

    impl Admits for Counter {
        fn admit(&self, key: &str, address: Ipv4Addr) -> Result<Account, String> {
            Ok(Account {
                server: format!("for-{}", &key[..3]),
                endpoint: format!("{address}:1"),
            })
        }
    }

    #[test]
    fn who_asks_is_told_and_a_key_is_let_in() {
        let sites = Sites::new(Some(Arc::new(Counter)));
        let from = Some(IpAddr::from([10, 5, 0, 2]));
        let said = sites.answer(WHO_ASKS, &Method::GET, "/ip", "", from);
        assert_eq!(said, Some((StatusCode::OK, "10.5.0.2\n".to_owned())));
        let key = "abc".repeat(14) + "d=";
        let ask = |body: &str| sites.answer(PROVIDER, &Method::POST, "/peers", body, from);
        let (status, text) = ask(&format!("{key} 10.5.0.2\n")).expect("ours");
        assert_eq!(
            (status, text.as_str()),
            (StatusCode::OK, "for-abc 10.5.0.2:1\n")
        );
        for bad in ["", "short 10.5.0.2", &format!("{key} nowhere")] {
            assert_eq!(ask(bad).expect("ours").0, StatusCode::BAD_REQUEST, "{bad}");
        }
        assert_eq!(
            sites.answer("example.org", &Method::GET, "/ip", "", from),
            None
        );
    }

    #[test]
    fn without_a_provider_nobody_is_let_in() {
        let (status, text) = Sites::default()
            .answer(PROVIDER, &Method::POST, "/peers", "", None)
            .expect("ours");
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(text.contains("wireguard-go"));
    }
}

//! Somebody who changes things by hand, through the lab's API and not through infra's inventory.

use crate::lab::Lab;
use infra::{
    model::{
        desired::{ApiAuth, ProxmoxApi, TlsTrust},
        ids::Vmid,
        observed::ObservedGuest,
        secret::SecretValues,
    },
    providers::proxmox::{
        Client, ClientOptions, ConfigChange, ProxmoxRead as _, ProxmoxWrite as _, Upid,
    },
};
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use tokio::runtime::Runtime;

const LIMIT: Duration = Duration::from_mins(1);

/// The same rights as infra's, and no inventory.
pub(crate) struct Hand {
    client: Client,
    runtime: Runtime,
}

impl Hand {
    pub(crate) fn at(lab: &Lab) -> Self {
        let state = lab.state();
        let text = |key: &str| state[key].as_str().expect("a text").to_owned();
        let api: SocketAddr = text("api").parse().expect("an address");
        let digits = text("fingerprint");
        let mut fingerprint = [0; 32];
        for (at, byte) in fingerprint.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).expect("hex");
        }
        let secret = "token".parse().expect("a name");
        let api = ProxmoxApi {
            host: api.ip().to_string(),
            port: api.port(),
            auth: ApiAuth::Token {
                id: text("token_id"),
                secret,
            },
            tls: TlsTrust::Fingerprint(fingerprint),
        };
        let mut values = SecretValues::default();
        values.insert(
            "token".parse().expect("a name"),
            text("token_secret").into(),
        );
        let runtime = Runtime::new().expect("a runtime");
        let options = ClientOptions::default().scaled(0.01);
        let client = runtime.block_on(async { Client::connect(&api, &values, options) });
        Self {
            client: client.expect("a client"),
            runtime,
        }
    }

    fn wait(&self, upid: &Upid) {
        let ended = self.runtime.block_on(self.client.wait(upid, LIMIT));
        ended.expect("the task ends well");
    }

    /// The guest as it is.
    pub(crate) fn guest(&self, vmid: u32) -> Option<ObservedGuest> {
        let vmid = Vmid::new(vmid).expect("valid");
        let found = self.runtime.block_on(self.client.guest(vmid));
        found.expect("answered")
    }

    /// Where it lives.
    fn node(&self, vmid: Vmid) -> String {
        self.guest(vmid.number()).expect("it is there").node
    }

    /// One option as it runs.
    pub(crate) fn option(&self, vmid: u32, key: &str) -> String {
        let config = self.guest(vmid).and_then(|guest| guest.config);
        let config = config.expect("it is there");
        config.get(key).cloned().unwrap_or_default()
    }

    pub(crate) fn make(&self, vmid: u32, options: &[(&str, &str)]) {
        let vmid = Vmid::new(vmid).expect("valid");
        let options = map(options);
        let made = self.client.create_vm("pve", vmid, &options);
        self.wait(&self.runtime.block_on(made).expect("accepted"));
    }

    pub(crate) fn set(&self, vmid: u32, options: &[(&str, &str)]) {
        let vmid = Vmid::new(vmid).expect("valid");
        let change = ConfigChange {
            set: map(options),
            ..ConfigChange::default()
        };
        let node = self.node(vmid);
        let set = self.client.update_config(&node, vmid, &change);
        self.wait(&self.runtime.block_on(set).expect("accepted"));
    }

    pub(crate) fn start(&self, vmid: u32) {
        let vmid = Vmid::new(vmid).expect("valid");
        let node = self.node(vmid);
        let started = self.client.start(&node, vmid);
        self.wait(&self.runtime.block_on(started).expect("accepted"));
    }

    /// Cuts the power and switches it on again, so that what waited takes effect.
    pub(crate) fn restart(&self, vmid: u32) {
        let number = Vmid::new(vmid).expect("valid");
        let node = self.node(number);
        let stopped = self.client.stop(&node, number);
        self.wait(&self.runtime.block_on(stopped).expect("accepted"));
        self.start(vmid);
    }
}

fn map(options: &[(&str, &str)]) -> BTreeMap<String, String> {
    options
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

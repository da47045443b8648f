//! The VPN provider of the lab's Internet: a real `WireGuard` server in the router's namespace, whose customers leave under an
//! address of its own.

use super::{
    cgroup::Cgroup,
    error::NamespaceError,
    exec, files,
    names::Names,
    network::{INTERNET_TABLE, create_namespace},
};
use crate::lab::images::{Account, Admits};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rand::RngCore;
use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

const SCRIPT: &str = include_str!("scripts/vpn.sh");
/// Where customers stand. `NordVPN` gives everybody an address of this network.
const NETWORK: &str = "10.5.0.1/16";
/// The address under which customers reach the Internet, reserved for documentation like that of the Internet itself.
const EXIT: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 20);
/// `WireGuard`'s own port.
const PORT: u16 = 51820;

/// A provider that runs; it ends with the lab's cgroup.
#[derive(Debug)]
pub struct VpnProvider {
    names: Names,
    public: String,
    endpoint: Ipv4Addr,
}

impl VpnProvider {
    /// Starts it in the router's namespace; none where the machine has no wireguard-go.
    ///
    /// # Errors
    /// When the machine refuses.
    pub fn start(names: &Names, endpoint: Ipv4Addr) -> Result<Option<Self>, NamespaceError> {
        let programs = ["wireguard-go", "wg"];
        let there = |program: &&str| {
            exec::PATH
                .split(':')
                .any(|folder| Path::new(folder).join(program).exists())
        };
        if !programs.iter().all(there) {
            return Ok(None);
        }
        create_namespace(&names.router())?;
        let mut bytes = [0; 32];
        rand::rngs::OsRng.fill_bytes(&mut bytes);
        // Curve25519 wants these bits so.
        bytes[0] &= 0xf8;
        bytes[31] = bytes[31] & 0x7f | 0x40;
        let private = STANDARD.encode(bytes) + "\n";
        let cgroup = Cgroup::of_lab(names)?.child("vpn");
        let table = INTERNET_TABLE.to_string();
        let (router, interface, exit) = (names.router(), interface(names), EXIT.to_string());
        let folders: Vec<String> = cgroup
            .folders()
            .map(|folder| folder.display().to_string())
            .collect();
        let mut argv = vec!["sh", "-c", SCRIPT, "infra-lab-vpn"];
        argv.extend([
            router.as_str(),
            interface.as_str(),
            NETWORK,
            exit.as_str(),
            table.as_str(),
        ]);
        argv.extend(folders.iter().map(String::as_str));
        exec::feed(&argv, &private)?;
        let public = exec::feed(&["wg", "pubkey"], &private)?.trim().to_owned();
        Ok(Some(Self {
            names: names.clone(),
            public,
            endpoint,
        }))
    }
}

impl Admits for VpnProvider {
    fn admit(&self, key: &str, address: Ipv4Addr) -> Result<Account, String> {
        let (router, interface, allowed) = (
            self.names.router(),
            interface(&self.names),
            format!("{address}/32"),
        );
        let set = [
            "wg",
            "set",
            &interface,
            "peer",
            key,
            "allowed-ips",
            &allowed,
        ];
        let argv: Vec<&str> = ["ip", "netns", "exec", &router]
            .into_iter()
            .chain(set)
            .collect();
        exec::run(&argv).map_err(|error| error.chain())?;
        Ok(Account {
            server: self.public.clone(),
            endpoint: format!("{}:{PORT}", self.endpoint),
        })
    }
}

/// Its interface: the control sockets of all such interfaces on the machine lie in one folder.
fn interface(names: &Names) -> String {
    format!("vpn{}", names.id())
}

/// Removes the control socket that a killed process left.
pub(super) fn sweep(names: &Names) -> Result<(), NamespaceError> {
    let socket: PathBuf = Path::new("/var/run/wireguard").join(interface(names) + ".sock");
    files::remove(&socket)
}

//! The three documents of a seed.

use super::{host_key::HostKey, iso};
use crate::model::{
    address::Mac,
    cloud_init::{CloudInit, CloudUser},
    ids::{HostName, SystemName, Vmid},
};
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::net::IpAddr;

/// What a guest is told at its first boot.
#[derive(Debug, Clone)]
pub struct SeedSpec {
    /// Identity of the installation, see [`instance_id`].
    pub instance_id: String,
    /// Host name.
    pub hostname: HostName,
    /// Login; `root`, or a user that is made with passwordless sudo.
    pub user: String,
    /// Public keys that may log in, `authorized_keys` lines.
    pub authorized_keys: Vec<String>,
    /// The host key for the first boot; none in a sealed seed.
    pub host_key: Option<HostKey>,
    /// IANA time zone.
    pub timezone: String,
    /// DNS servers.
    pub nameservers: Vec<IpAddr>,
    /// Network cards, `net0` first.
    pub nics: Vec<SeedNic>,
    /// What the owner adds. Packages hold dpkg's lock meanwhile.
    pub extra: CloudInit,
}

/// A network card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedNic {
    /// MAC address, by which the guest recognises it.
    pub mac: Mac,
    /// Static addresses with prefix length.
    pub addresses: Vec<IpNet>,
    /// Default gateways, at most one a family.
    pub gateways: Vec<IpAddr>,
}

/// The documents. Debug shows no user-data: it may hold the host's private key.
#[derive(Debug, Clone)]
pub struct Seed {
    user_data: SecretString,
    meta_data: String,
    network_config: String,
    vendor_data: String,
}

/// The identity of an installation: stable while a guest lives, new when its disk is made anew (`generation`). Proxmox
/// derives its own from the documents' content, so that every edit would make cloud-init start over, with new SSH host
/// keys; ours does not change with the content.
pub fn instance_id(system: &SystemName, vmid: Vmid, generation: u32) -> String {
    format!("infra-{system}-{vmid}-{generation}")
}

/// The file name of an image in an ISO storage; it changes with the content.
pub fn file_name(system: &SystemName, vmid: Vmid, image: &[u8]) -> String {
    let digest = Sha256::digest(image);
    let short: Vec<String> = digest
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("infra-{system}-{vmid}-{}.iso", short.concat())
}

impl SeedSpec {
    /// The same without the private key: what stays in the guest's drive after the first boot.
    #[must_use]
    pub fn sealed(&self) -> Self {
        Self {
            host_key: None,
            ..self.clone()
        }
    }

    /// Writes the documents.
    pub fn seed(&self) -> Seed {
        Seed {
            user_data: SecretString::from(format!(
                "#cloud-config\n{}\n",
                pretty(&self.user_data())
            )),
            meta_data: format!("{}\n", pretty(&self.meta_data())),
            network_config: format!("{}\n", pretty(&self.network_config())),
            vendor_data: self.vendor_data(),
        }
    }

    fn user_data(&self) -> Value {
        let mut config = json!({
            "hostname": self.hostname,
            "preserve_hostname": false,
            "manage_etc_hosts": true,
            "timezone": self.timezone,
            "ssh_pwauth": false,
            "disable_root": self.user != "root",
            // A list without `default`: the image's own user (`debian`) is not made.
            "users": [self.login()],
            "ssh_deletekeys": self.host_key.is_some(),
            "package_update": false,
            "package_upgrade": false,
        });
        let more = config.as_object_mut().expect("written as an object above");
        if let Some(key) = &self.host_key {
            let keys =
                json!({"ed25519_private": key.expose_private(), "ed25519_public": key.public()});
            more.insert("ssh_keys".to_owned(), keys);
        }
        if !self.extra.packages.is_empty() {
            more.insert("packages".to_owned(), json!(self.extra.packages));
            more.insert("package_update".to_owned(), json!(true));
        }
        if let Some(Value::Array(users)) = more.get_mut("users") {
            users.extend(self.extra.users.iter().map(user));
        }
        for (key, value) in &self.extra.user_data {
            more.entry(key).or_insert_with(|| value.clone());
        }
        config
    }

    fn login(&self) -> Value {
        let mut login = json!({
            "name": self.user,
            "lock_passwd": true,
            "ssh_authorized_keys": self.authorized_keys,
        });
        if self.user != "root" {
            let more = login.as_object_mut().expect("written as an object above");
            more.insert("gecos".to_owned(), json!("infra"));
            more.insert("groups".to_owned(), json!(["sudo"]));
            more.insert("shell".to_owned(), json!("/bin/bash"));
            more.insert("sudo".to_owned(), json!("ALL=(ALL) NOPASSWD:ALL"));
        }
        login
    }

    fn vendor_data(&self) -> String {
        if self.extra.vendor_data.is_empty() {
            return String::new();
        }
        let document = Value::Object(self.extra.vendor_data.clone());
        format!("#cloud-config\n{}\n", pretty(&document))
    }

    fn meta_data(&self) -> Value {
        json!({"instance-id": self.instance_id, "local-hostname": self.hostname})
    }

    /// Version 1, as Proxmox writes it: a card by its MAC address under the name `ethN`. cloud-init turns it into
    /// `match` and `set-name` for netplan (Debian's cloud image) and into a `[Match]` by name and MAC for
    /// systemd-networkd alone. Version 2 would be handed to netplan as it is, and netplan matches the *permanent* MAC
    /// address, which the veth card of a namespace guest does not have.
    ///
    /// An owner whose image wants version 2 says so.
    fn network_config(&self) -> Value {
        if self.extra.network_version == 2 {
            return self.network_config_2();
        }
        let mut config: Vec<Value> = self
            .nics
            .iter()
            .enumerate()
            .map(|(index, nic)| nic.document(index))
            .collect();
        if !self.nameservers.is_empty() {
            config.push(json!({"type": "nameserver", "address": self.nameservers}));
        }
        json!({"version": 1, "config": config})
    }
}

/// A user beside the one that infra logs in as.
fn user(user: &CloudUser) -> Value {
    let mut out = json!({
        "name": user.name,
        "lock_passwd": true,
        "shell": user.shell,
        "ssh_authorized_keys": user.authorized_keys,
    });
    let more = out.as_object_mut().expect("written as an object above");
    if !user.groups.is_empty() {
        more.insert("groups".to_owned(), json!(user.groups));
    }
    if user.sudo {
        more.insert("sudo".to_owned(), json!("ALL=(ALL) NOPASSWD:ALL"));
    }
    out
}

impl SeedSpec {
    /// Version 2, netplan's own words.
    fn network_config_2(&self) -> Value {
        let mut cards = Map::new();
        for (index, nic) in self.nics.iter().enumerate() {
            let name = format!("eth{index}");
            let mut card = json!({
                "match": {"macaddress": nic.mac.to_string().to_lowercase()},
                "set-name": name,
                "dhcp4": false,
                "addresses": nic.addresses,
            });
            let more = card.as_object_mut().expect("written as an object above");
            if nic.addresses.is_empty() {
                more.insert("optional".to_owned(), json!(true));
            }
            if !nic.gateways.is_empty() {
                let routes: Vec<Value> = nic
                    .gateways
                    .iter()
                    .map(|gateway| {
                        let to = if gateway.is_ipv6() {
                            "::/0"
                        } else {
                            "0.0.0.0/0"
                        };
                        json!({"to": to, "via": gateway})
                    })
                    .collect();
                more.insert("routes".to_owned(), json!(routes));
            }
            if index == 0 && !self.nameservers.is_empty() {
                more.insert(
                    "nameservers".to_owned(),
                    json!({"addresses": self.nameservers}),
                );
            }
            cards.insert(name, card);
        }
        json!({"version": 2, "ethernets": cards})
    }
}

impl SeedNic {
    fn document(&self, index: usize) -> Value {
        let mut gateways = self.gateways.clone();
        let subnet = |address: &IpNet| {
            let kind = if address.addr().is_ipv6() {
                "static6"
            } else {
                "static"
            };
            let mut subnet = Map::new();
            subnet.insert("type".to_owned(), json!(kind));
            subnet.insert("address".to_owned(), json!(address.to_string()));
            // Each gateway goes with the first address of its family.
            let same_family = |gateway: &IpAddr| gateway.is_ipv6() == address.addr().is_ipv6();
            if let Some(at) = gateways.iter().position(same_family) {
                subnet.insert("gateway".to_owned(), json!(gateways.remove(at)));
            }
            Value::Object(subnet)
        };
        let mut subnets: Vec<Value> = self.addresses.iter().map(subnet).collect();
        if subnets.is_empty() {
            // A card without an entry makes the boot wait for it.
            subnets.push(json!({"type": "manual"}));
        }
        json!({
            "type": "physical",
            "name": format!("eth{index}"),
            "mac_address": self.mac.to_string().to_lowercase(),
            "subnets": subnets,
        })
    }
}

impl Seed {
    /// The cloud-config. It may hold the host's private key.
    pub fn user_data(&self) -> &SecretString {
        &self.user_data
    }

    /// Instance id and host name.
    pub fn meta_data(&self) -> &str {
        &self.meta_data
    }

    /// The network, version 1.
    pub fn network_config(&self) -> &str {
        &self.network_config
    }

    /// The image: ISO 9660 with Joliet names and the label `cidata`, by which cloud-init finds it.
    pub fn iso(&self) -> Vec<u8> {
        let mut files = vec![
            iso::File {
                plain: "METADATA",
                name: "meta-data",
                bytes: self.meta_data.as_bytes(),
            },
            iso::File {
                plain: "NETWORK",
                name: "network-config",
                bytes: self.network_config.as_bytes(),
            },
            iso::File {
                plain: "USERDATA",
                name: "user-data",
                bytes: self.user_data.expose_secret().as_bytes(),
            },
        ];
        if !self.vendor_data.is_empty() {
            files.push(iso::File {
                plain: "VENDORDA",
                name: "vendor-data",
                bytes: self.vendor_data.as_bytes(),
            });
        }
        iso::image(&files)
    }
}

/// JSON is YAML, with one way only to write a string: nothing in a key or a name can change its meaning.
fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    pub(in crate::seed) fn spec() -> SeedSpec {
        let key = HostKey::generate(&mut StdRng::seed_from_u64(1), "extranet").expect("a key");
        SeedSpec {
            instance_id: "infra-home-111-1".to_owned(),
            hostname: "extranet".parse().expect("valid"),
            user: "root".to_owned(),
            authorized_keys: vec!["ssh-ed25519 AAAAC3 tired@desk".to_owned()],
            host_key: Some(key),
            timezone: "Europe/Paris".to_owned(),
            nameservers: vec!["10.10.10.1".parse().expect("valid")],
            nics: vec![SeedNic {
                mac: "BC:24:11:00:00:01".parse().expect("valid"),
                addresses: vec![
                    "10.10.10.2/24".parse().expect("valid"),
                    "10.10.10.3/24".parse().expect("valid"),
                    "fd00::2/64".parse().expect("valid"),
                ],
                gateways: vec![
                    "fd00::1".parse().expect("valid"),
                    "10.10.10.1".parse().expect("valid"),
                ],
            }],
            extra: CloudInit {
                network_version: 1,
                ..CloudInit::default()
            },
        }
    }

    #[test]
    fn the_owners_part_is_added_and_wins_over_nothing_of_ours() {
        let map = |value: Value| value.as_object().expect("a map").clone();
        let spec = SeedSpec {
            extra: CloudInit {
                packages: vec!["htop".to_owned()],
                users: vec![CloudUser {
                    name: "kim".to_owned(),
                    groups: vec!["video".to_owned()],
                    sudo: false,
                    shell: "/bin/bash".to_owned(),
                    authorized_keys: vec!["ssh-ed25519 AAAA kim".to_owned()],
                }],
                network_version: 2,
                user_data: map(json!({"runcmd": [["touch", "/x"]], "hostname": "evil"})),
                vendor_data: map(json!({"swap": {"filename": "/swap"}})),
            },
            ..spec()
        };
        let seed = spec.sealed().seed();
        let text = seed.user_data().expose_secret();
        let body = text.strip_prefix("#cloud-config\n").expect("its mark");
        let config: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(config["hostname"], "extranet");
        assert_eq!(config["runcmd"][0][0], "touch");
        assert_eq!(config["packages"][0], "htop");
        assert_eq!(config["users"][1]["name"], "kim");
        assert_eq!(config["users"][1].get("sudo"), None);
        let network: Value = serde_json::from_str(seed.network_config()).expect("JSON");
        let card = &network["ethernets"]["eth0"];
        assert_eq!(card["match"]["macaddress"], "bc:24:11:00:00:01");
        assert_eq!(card["routes"][0]["to"], "::/0");
        assert_eq!(card["nameservers"]["addresses"][0], "10.10.10.1");
        let image = String::from_utf8_lossy(&seed.iso()).into_owned();
        assert!(image.contains("#cloud-config\n{\n  \"swap\""));
    }

    #[test]
    fn each_gateway_goes_with_the_first_address_of_its_family() {
        let seed = spec().seed();
        let network: Value = serde_json::from_str(seed.network_config()).expect("JSON");
        let subnets = &network["config"][0]["subnets"];
        assert_eq!(subnets[0]["gateway"], "10.10.10.1");
        assert_eq!(subnets[1].get("gateway"), None);
        assert_eq!(
            (&subnets[2]["type"], &subnets[2]["gateway"]),
            (&json!("static6"), &json!("fd00::1"))
        );
        assert_eq!(network["config"][0]["mac_address"], "bc:24:11:00:00:01");
        assert_eq!(network["config"][1]["address"][0], "10.10.10.1");
    }

    #[test]
    fn a_card_without_addresses_is_left_alone() {
        let nic = SeedNic {
            mac: Mac([2, 0, 0, 0, 0, 1]),
            addresses: Vec::new(),
            gateways: Vec::new(),
        };
        assert_eq!(nic.document(1)["subnets"], json!([{"type": "manual"}]));
        assert_eq!(nic.document(1)["name"], "eth1");
    }

    #[test]
    fn a_sealed_seed_is_the_same_without_the_private_key() {
        let open = spec();
        let key = open
            .host_key
            .as_ref()
            .expect("has one")
            .expose_private()
            .to_owned();
        let line = key.lines().nth(2).expect("a line of base64").to_owned();
        let (open, sealed) = (open.seed(), open.sealed().seed());
        let text = |seed: &Seed| seed.user_data().expose_secret().to_owned();
        assert!(text(&open).contains(&line));
        assert!(!text(&sealed).contains(&line) && !text(&sealed).contains("PRIVATE"));
        assert_eq!(sealed.meta_data(), open.meta_data());
        assert!(
            !format!("{open:?}").contains(&line),
            "debug output keeps the secret"
        );
        let image = String::from_utf8_lossy(&sealed.iso()).into_owned();
        assert!(!image.contains("PRIVATE"));
    }

    #[test]
    fn a_user_who_is_not_root_gets_sudo_and_root_is_closed() {
        let spec = SeedSpec {
            user: "admin".to_owned(),
            ..spec()
        };
        let seed = spec.sealed().seed();
        let text = seed.user_data().expose_secret();
        let body = text
            .strip_prefix("#cloud-config\n")
            .expect("the mark by which cloud-init knows it");
        let config: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(config["users"][0]["sudo"], json!("ALL=(ALL) NOPASSWD:ALL"));
        assert_eq!(config["users"].as_array().map(Vec::len), Some(1));
        assert_eq!(
            (&config["disable_root"], &config["ssh_pwauth"]),
            (&json!(true), &json!(false))
        );
        assert_eq!(
            (&config["ssh_deletekeys"], config.get("ssh_keys")),
            (&json!(false), None)
        );
    }

    #[test]
    fn names_follow_the_content_and_identities_do_not() {
        let (system, vmid) = (
            "home".parse().expect("valid"),
            Vmid::new(111).expect("valid"),
        );
        let (open, sealed) = (spec().seed().iso(), spec().sealed().seed().iso());
        let name = file_name(&system, vmid, &sealed);
        assert!(
            name.starts_with("infra-home-111-") && name.len() == "infra-home-111-".len() + 12 + 4,
            "{name}"
        );
        assert_ne!(file_name(&system, vmid, &open), name);
        assert_eq!(instance_id(&system, vmid, 1), "infra-home-111-1");
    }
}

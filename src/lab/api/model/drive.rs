//! Disks and network cards as configuration lines.

use std::collections::BTreeMap;

/// A disk or CD-ROM line: what is in it, and its options in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Drive {
    /// Volume id, `none`, `cdrom`, or what is to be made (`local:0`, `local:cloudinit`).
    pub(crate) file: String,
    pub(crate) options: BTreeMap<String, String>,
}

impl Drive {
    /// Reads a line that passed the table's checks.
    pub(crate) fn parse(line: &str) -> Self {
        let mut file = String::new();
        let mut options = BTreeMap::new();
        for part in line.split(',').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some(("file" | "volume", value)) => value.clone_into(&mut file),
                Some((name, value)) => {
                    options.insert(name.to_owned(), switch(name, value));
                }
                None => part.clone_into(&mut file),
            }
        }
        Self { file, options }
    }

    /// An option's value.
    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    /// Whether it is a CD-ROM drive.
    pub(crate) fn is_cdrom(&self) -> bool {
        self.option("media") == Some("cdrom")
    }

    /// Whether it holds a disk image: neither empty nor a CD-ROM.
    pub(crate) fn is_disk(&self) -> bool {
        !self.is_cdrom() && self.file.contains(':')
    }

    /// Whether it is the drive that Proxmox writes cloud-init data to.
    pub(crate) fn is_cloudinit(&self) -> bool {
        self.file.ends_with(":cloudinit") || self.file.contains("-cloudinit")
    }

    /// Storage and what follows the colon.
    pub(crate) fn volume(&self) -> Option<(&str, &str)> {
        self.file.split_once(':')
    }

    /// The line as it is stored.
    pub(crate) fn print(&self) -> String {
        format!("{}{}", self.file, printed(&self.options))
    }
}

fn printed(options: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = options
        .iter()
        .map(|(name, value)| format!(",{name}={value}"))
        .collect();
    pairs.concat()
}

/// Whether a key holds a drive.
pub(crate) fn is_drive(key: &str) -> bool {
    let bus = key.trim_end_matches(|c: char| c.is_ascii_digit());
    bus != key
        && matches!(
            bus,
            "ide" | "sata" | "scsi" | "virtio" | "efidisk" | "tpmstate"
        )
}

/// Whether a key is `bus<number>` of one bus.
pub(crate) fn is_numbered(key: &str, bus: &str) -> bool {
    key.strip_prefix(bus)
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

const SWITCHES: &[&str] = &[
    "iothread",
    "ssd",
    "backup",
    "replicate",
    "ro",
    "shared",
    "snapshot",
    "pre-enrolled-keys",
];

/// Booleans are stored as 0 and 1; `discard=on` is a word of its own.
fn switch(name: &str, value: &str) -> String {
    match value {
        "on" | "yes" | "true" if SWITCHES.contains(&name) => "1".to_owned(),
        "off" | "no" | "false" if SWITCHES.contains(&name) => "0".to_owned(),
        _ => value.to_owned(),
    }
}

/// A network card line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) model: String,
    pub(crate) mac: Option<String>,
    pub(crate) options: BTreeMap<String, String>,
}

const MODELS: &[&str] = &[
    "e1000",
    "e1000-82540em",
    "e1000-82544gc",
    "e1000-82545em",
    "e1000e",
    "i82551",
    "i82557b",
    "i82559er",
    "ne2k_isa",
    "ne2k_pci",
    "pcnet",
    "rtl8139",
    "virtio",
    "vmxnet3",
];

impl Card {
    /// Reads a line that passed the table's checks.
    pub(crate) fn parse(line: &str) -> Self {
        let mut card = Self {
            model: String::new(),
            mac: None,
            options: BTreeMap::new(),
        };
        for part in line.split(',').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some(("model", value)) => value.clone_into(&mut card.model),
                Some(("macaddr", value)) => card.mac = Some(value.to_uppercase()),
                Some((name, value)) if MODELS.contains(&name) => {
                    name.clone_into(&mut card.model);
                    card.mac = Some(value.to_uppercase());
                }
                Some((name, value)) => {
                    let value = match (name, value) {
                        ("firewall" | "link_down", "on" | "yes" | "true") => "1",
                        ("firewall" | "link_down", "off" | "no" | "false") => "0",
                        _ => value,
                    };
                    card.options.insert(name.to_owned(), value.to_owned());
                }
                None => part.clone_into(&mut card.model),
            }
        }
        card
    }

    /// The bridge, if it is on one.
    pub(crate) fn bridge(&self) -> Option<&str> {
        self.options.get("bridge").map(String::as_str)
    }

    /// The line as it is stored; a card without a MAC address gets this one.
    pub(crate) fn print(&self, mac: &str) -> String {
        let mac = self.mac.as_deref().unwrap_or(mac);
        format!("{}={mac}{}", self.model, printed(&self.options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_stored_in_the_order_of_their_names() {
        let drive = Drive::parse("local:150/vm-150-disk-0.qcow2,size=2G,iothread=on,discard=on");
        assert_eq!(
            drive.print(),
            "local:150/vm-150-disk-0.qcow2,discard=on,iothread=1,size=2G"
        );
    }

    #[test]
    fn a_card_without_a_mac_gets_one() {
        let card = Card::parse("virtio,bridge=vmbr1,tag=20,firewall=1,rate=10");
        assert_eq!(
            card.print("BC:24:11:2B:62:5B"),
            "virtio=BC:24:11:2B:62:5B,bridge=vmbr1,firewall=1,rate=10,tag=20"
        );
        let card = Card::parse("virtio=bc:24:11:00:00:01,bridge=vmbr0");
        assert_eq!(card.print("X"), "virtio=BC:24:11:00:00:01,bridge=vmbr0");
    }
}

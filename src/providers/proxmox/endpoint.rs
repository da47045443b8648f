//! The table of every request that infra can make. A test compares it with the published API schema.

use std::fmt;

/// HTTP methods that pveproxy knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        })
    }
}

/// When a request that failed may be sent again without looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It only reads: after any passing failure.
    Always,
    /// It does all its work under one lock: one that was not obtained means that nothing was done.
    AfterLock,
    /// Only when it never left.
    Never,
}

/// One row: method, path template, and the parameters beside those of the path. `net[n]` stands for `net0`, `net1` ...
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) repeat: Repeat,
    pub(super) parameters: &'static [&'static str],
    /// Also takes the VM options of [`VM_OPTIONS`].
    pub(super) takes_vm_options: bool,
}

impl Endpoint {
    /// Whether a parameter may be given.
    pub(super) fn takes(&self, parameter: &str) -> bool {
        let options: &[&str] = if self.takes_vm_options {
            VM_OPTIONS
        } else {
            &[]
        };
        let stem = parameter.trim_end_matches(|c: char| c.is_ascii_digit());
        self.parameters
            .iter()
            .chain(options)
            .any(|listed| match listed.strip_suffix("[n]") {
                Some(family) => family == stem && stem.len() < parameter.len(),
                None => *listed == parameter,
            })
    }
}

/// The VM options that infra may set. `args`, `lock`, `hookscript` and raw devices are root's alone and absent;
/// `force`, which turns detaching a disk into destroying it, is absent on purpose.
pub(super) const VM_OPTIONS: &[&str] = &[
    "acpi",
    "agent",
    "allow-ksm",
    "audio0",
    "balloon",
    "bios",
    "boot",
    "cicustom",
    "citype",
    "ciupgrade",
    "ciuser",
    "cores",
    "cpu",
    "cpulimit",
    "cpuunits",
    "description",
    "efidisk0",
    "hostpci[n]",
    "hotplug",
    "ide[n]",
    "ipconfig[n]",
    "keyboard",
    "kvm",
    "localtime",
    "machine",
    "memory",
    "migrate_downtime",
    "migrate_speed",
    "name",
    "nameserver",
    "net[n]",
    "numa",
    "onboot",
    "ostype",
    "protection",
    "rng0",
    "sata[n]",
    "scsi[n]",
    "scsihw",
    "searchdomain",
    "serial[n]",
    "shares",
    "smbios1",
    "sockets",
    "spice_enhancements",
    "sshkeys",
    "startdate",
    "startup",
    "tablet",
    "tags",
    "tdf",
    "tpmstate0",
    "usb[n]",
    "vcpus",
    "vga",
    "virtio[n]",
    "virtiofs[n]",
    "vmstatestorage",
    "watchdog",
];

const RULE: &[&str] = &[
    "type",
    "action",
    "enable",
    "proto",
    "source",
    "dest",
    "sport",
    "dport",
    "icmp-type",
    "macro",
    "iface",
    "log",
    "comment",
];
const RULE_CHANGE: &[&str] = &[
    "type",
    "action",
    "enable",
    "proto",
    "source",
    "dest",
    "sport",
    "dport",
    "icmp-type",
    "macro",
    "iface",
    "log",
    "comment",
    "delete",
    "digest",
    "moveto",
];
const CLUSTER_OPTIONS: &[&str] = &[
    "enable",
    "policy_in",
    "policy_out",
    "policy_forward",
    "ebtables",
    "log_ratelimit",
    "delete",
    "digest",
];
const NODE_OPTIONS: &[&str] = &[
    "enable",
    "log_level_in",
    "log_level_out",
    "log_level_forward",
    "log_nf_conntrack",
    "ndp",
    "nftables",
    "nosmurfs",
    "smurf_log_level",
    "tcpflags",
    "tcp_flags_log_level",
    "nf_conntrack_allow_invalid",
    "nf_conntrack_helpers",
    "nf_conntrack_max",
    "nf_conntrack_tcp_timeout_established",
    "nf_conntrack_tcp_timeout_syn_recv",
    "protection_synflood",
    "protection_synflood_burst",
    "protection_synflood_rate",
    "delete",
    "digest",
];
const GUEST_OPTIONS: &[&str] = &[
    "enable",
    "policy_in",
    "policy_out",
    "dhcp",
    "ipfilter",
    "macfilter",
    "ndp",
    "radv",
    "log_level_in",
    "log_level_out",
    "delete",
    "digest",
];

const INTERFACE: &[&str] = &[
    "iface",
    "type",
    "autostart",
    "bridge_ports",
    "bridge_vlan_aware",
    "bridge_vids",
    "cidr",
    "cidr6",
    "gateway",
    "gateway6",
    "comments",
    "mtu",
];
const INTERFACE_CHANGE: &[&str] = &[
    "type",
    "autostart",
    "bridge_ports",
    "bridge_vlan_aware",
    "bridge_vids",
    "cidr",
    "cidr6",
    "gateway",
    "gateway6",
    "comments",
    "mtu",
    "delete",
];
const HA_RESOURCE: &[&str] = &[
    "sid",
    "state",
    "max_restart",
    "max_relocate",
    "failback",
    "comment",
];
const HA_RESOURCE_CHANGE: &[&str] = &[
    "state",
    "max_restart",
    "max_relocate",
    "failback",
    "comment",
    "delete",
    "digest",
];
const HA_RULE: &[&str] = &[
    "rule",
    "type",
    "resources",
    "nodes",
    "strict",
    "affinity",
    "comment",
    "disable",
];
const HA_RULE_CHANGE: &[&str] = &[
    "type",
    "resources",
    "nodes",
    "strict",
    "affinity",
    "comment",
    "disable",
    "delete",
    "digest",
];

macro_rules! endpoints {
    ($($name:ident = $method:ident $path:literal $repeat:ident $parameters:expr $(, $vm:ident)?;)*) => {
        $(pub(super) static $name: Endpoint = Endpoint {
            method: Method::$method,
            path: $path,
            repeat: Repeat::$repeat,
            parameters: $parameters,
            takes_vm_options: endpoints!(@vm $($vm)?),
        };)*
        /// Every row.
        pub(super) static ALL: &[&Endpoint] = &[$(&$name),*];
    };
    (@vm) => { false };
    (@vm vm_options) => { true };
}

endpoints! {
    TICKET = Post "/access/ticket" AfterLock &["username", "password"];
    VERSION = Get "/version" Always &[];
    PERMISSIONS = Get "/access/permissions" Always &[];
    RESOURCES = Get "/cluster/resources" Always &["type"];

    NODE_STATUS = Get "/nodes/{node}/status" Always &[];
    NODE_TIME = Get "/nodes/{node}/time" Always &[];
    NODE_DNS = Get "/nodes/{node}/dns" Always &[];
    NODE_STORAGES = Get "/nodes/{node}/storage" Always &[];
    STORAGE_CONTENT = Get "/nodes/{node}/storage/{storage}/content" Always &["content", "vmid"];
    NODE_NETWORK = Get "/nodes/{node}/network" Always &[];
    NETWORK_CREATE = Post "/nodes/{node}/network" Never INTERFACE;
    NETWORK_UPDATE = Put "/nodes/{node}/network/{iface}" AfterLock INTERFACE_CHANGE;
    NETWORK_REVERT = Delete "/nodes/{node}/network" Never &[];
    NETWORK_RELOAD = Put "/nodes/{node}/network" Never &[];
    DOWNLOAD_URL = Post "/nodes/{node}/storage/{storage}/download-url" Never
        &["content", "filename", "url", "checksum", "checksum-algorithm"];
    UPLOAD = Post "/nodes/{node}/storage/{storage}/upload" Never
        &["content", "filename", "checksum", "checksum-algorithm"];
    VOLUME_CREATE = Post "/nodes/{node}/storage/{storage}/content" AfterLock &["vmid", "filename", "size", "format"];
    VOLUME_DELETE = Delete "/nodes/{node}/storage/{storage}/content/{volume}" Never &[];

    TASK_STATUS = Get "/nodes/{node}/tasks/{upid}/status" Always &[];
    TASK_LOG = Get "/nodes/{node}/tasks/{upid}/log" Always &["limit", "start"];

    DIR_MAPPINGS = Get "/cluster/mapping/dir" Always &[];
    DIR_MAPPING_CREATE = Post "/cluster/mapping/dir" Never &["id", "map", "description"];
    DIR_MAPPING_UPDATE = Put "/cluster/mapping/dir/{id}" AfterLock &["map", "description", "digest"];
    PCI_MAPPINGS = Get "/cluster/mapping/pci" Always &[];
    USB_MAPPINGS = Get "/cluster/mapping/usb" Always &[];

    POOLS = Get "/pools" Always &[];
    POOL_CREATE = Post "/pools" Never &["poolid", "comment"];
    POOL_UPDATE = Put "/pools" AfterLock &["poolid", "vms", "allow-move"];

    HA_RESOURCES = Get "/cluster/ha/resources" Always &["type"];
    HA_RESOURCE_CREATE = Post "/cluster/ha/resources" Never HA_RESOURCE;
    HA_RESOURCE_UPDATE = Put "/cluster/ha/resources/{sid}" AfterLock HA_RESOURCE_CHANGE;
    HA_RESOURCE_DELETE = Delete "/cluster/ha/resources/{sid}" Never &["purge"];
    HA_RULES = Get "/cluster/ha/rules" Always &["type", "resource"];
    HA_RULE_CREATE = Post "/cluster/ha/rules" Never HA_RULE;
    HA_RULE_UPDATE = Put "/cluster/ha/rules/{rule}" AfterLock HA_RULE_CHANGE;
    HA_RULE_DELETE = Delete "/cluster/ha/rules/{rule}" Never &[];
    REPLICATION_JOBS = Get "/cluster/replication" Always &[];
    REPLICATION_JOB_CREATE = Post "/cluster/replication" Never
        &["id", "type", "target", "schedule", "rate", "comment", "disable"];
    REPLICATION_JOB_UPDATE = Put "/cluster/replication/{id}" AfterLock
        &["schedule", "rate", "comment", "disable", "delete", "digest"];
    REPLICATION_JOB_DELETE = Delete "/cluster/replication/{id}" Never &["keep"];

    SDN_ZONES = Get "/cluster/sdn/zones" Always &["pending"];
    SDN_ZONE_CREATE = Post "/cluster/sdn/zones" Never &["zone", "type", "nodes", "mtu"];
    SDN_ZONE_UPDATE = Put "/cluster/sdn/zones/{zone}" AfterLock &["nodes", "mtu", "delete", "digest"];
    SDN_ZONE_DELETE = Delete "/cluster/sdn/zones/{zone}" Never &[];
    SDN_VNETS = Get "/cluster/sdn/vnets" Always &["pending"];
    SDN_VNET_CREATE = Post "/cluster/sdn/vnets" Never &["vnet", "zone", "alias", "isolate-ports", "vlanaware"];
    SDN_VNET_UPDATE = Put "/cluster/sdn/vnets/{vnet}" AfterLock
        &["zone", "alias", "isolate-ports", "vlanaware", "delete", "digest"];
    SDN_VNET_DELETE = Delete "/cluster/sdn/vnets/{vnet}" Never &[];
    SDN_APPLY = Put "/cluster/sdn" Never &[];
    SDN_ROLLBACK = Post "/cluster/sdn/rollback" Never &[];
    SDN_STATUS = Get "/nodes/{node}/sdn/zones" Always &[];

    NODE_GUESTS = Get "/nodes/{node}/qemu" Always &[];
    VM_CREATE = Post "/nodes/{node}/qemu" Never &["vmid", "pool"], vm_options;
    VM_PENDING = Get "/nodes/{node}/qemu/{vmid}/pending" Always &[];
    VM_STATUS = Get "/nodes/{node}/qemu/{vmid}/status/current" Always &[];
    AGENT_PING = Post "/nodes/{node}/qemu/{vmid}/agent/ping" Never &[];
    VM_UPDATE = Post "/nodes/{node}/qemu/{vmid}/config" Never &["delete", "revert", "digest"], vm_options;
    VM_DESTROY = Delete "/nodes/{node}/qemu/{vmid}" Never &["purge"];
    VM_RESIZE = Put "/nodes/{node}/qemu/{vmid}/resize" Never &["disk", "size", "digest"];
    VM_CLONE = Post "/nodes/{node}/qemu/{vmid}/clone" Never
        &["newid", "name", "description", "full", "storage", "target"];
    VM_TEMPLATE = Post "/nodes/{node}/qemu/{vmid}/template" Never &[];
    VM_MOVE_DISK = Post "/nodes/{node}/qemu/{vmid}/move_disk" Never &["disk", "storage", "delete"];
    VM_MIGRATE = Post "/nodes/{node}/qemu/{vmid}/migrate" Never &["target", "online", "with-local-disks"];
    VM_SNAPSHOTS = Get "/nodes/{node}/qemu/{vmid}/snapshot" Always &[];
    VM_SNAPSHOT_CREATE = Post "/nodes/{node}/qemu/{vmid}/snapshot" Never &["snapname", "description"];
    VM_SNAPSHOT_DELETE = Delete "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}" Never &[];
    VM_ROLLBACK = Post "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback" Never &["start"];
    AGENT_FILE_READ = Get "/nodes/{node}/qemu/{vmid}/agent/file-read" Always &["file"];
    VM_START = Post "/nodes/{node}/qemu/{vmid}/status/start" AfterLock &["timeout"];
    VM_STOP = Post "/nodes/{node}/qemu/{vmid}/status/stop" AfterLock &["timeout"];
    VM_SHUTDOWN = Post "/nodes/{node}/qemu/{vmid}/status/shutdown" AfterLock &["timeout", "forceStop"];
    VM_REBOOT = Post "/nodes/{node}/qemu/{vmid}/status/reboot" Never &["timeout"];

    CLUSTER_FW_OPTIONS = Get "/cluster/firewall/options" Always &[];
    CLUSTER_FW_OPTIONS_SET = Put "/cluster/firewall/options" AfterLock CLUSTER_OPTIONS;
    CLUSTER_FW_RULES = Get "/cluster/firewall/rules" Always &[];
    CLUSTER_FW_RULE_INSERT = Post "/cluster/firewall/rules" AfterLock RULE;
    CLUSTER_FW_RULE_CHANGE = Put "/cluster/firewall/rules/{pos}" AfterLock RULE_CHANGE;
    CLUSTER_FW_RULE_DELETE = Delete "/cluster/firewall/rules/{pos}" AfterLock &["digest"];
    CLUSTER_ALIASES = Get "/cluster/firewall/aliases" Always &[];
    CLUSTER_ALIAS_CREATE = Post "/cluster/firewall/aliases" AfterLock &["name", "cidr", "comment"];
    CLUSTER_ALIAS_UPDATE = Put "/cluster/firewall/aliases/{name}" AfterLock &["cidr", "comment", "digest"];
    CLUSTER_ALIAS_DELETE = Delete "/cluster/firewall/aliases/{name}" AfterLock &["digest"];
    CLUSTER_IPSETS = Get "/cluster/firewall/ipset" Always &[];
    CLUSTER_IPSET_CREATE = Post "/cluster/firewall/ipset" AfterLock &["name", "comment"];
    CLUSTER_IPSET_DELETE = Delete "/cluster/firewall/ipset/{name}" AfterLock &["force"];
    CLUSTER_IPSET_MEMBERS = Get "/cluster/firewall/ipset/{name}" Always &[];
    CLUSTER_IPSET_ADD = Post "/cluster/firewall/ipset/{name}" AfterLock &["cidr", "nomatch", "comment"];
    CLUSTER_IPSET_REMOVE = Delete "/cluster/firewall/ipset/{name}/{cidr}" AfterLock &["digest"];
    GROUPS = Get "/cluster/firewall/groups" Always &[];
    GROUP_CREATE = Post "/cluster/firewall/groups" AfterLock &["group", "comment"];
    GROUP_DELETE = Delete "/cluster/firewall/groups/{group}" AfterLock &[];
    GROUP_RULES = Get "/cluster/firewall/groups/{group}" Always &[];
    GROUP_RULE_INSERT = Post "/cluster/firewall/groups/{group}" AfterLock RULE;
    GROUP_RULE_CHANGE = Put "/cluster/firewall/groups/{group}/{pos}" AfterLock RULE_CHANGE;
    GROUP_RULE_DELETE = Delete "/cluster/firewall/groups/{group}/{pos}" AfterLock &["digest"];

    NODE_FW_OPTIONS = Get "/nodes/{node}/firewall/options" Always &[];
    NODE_FW_OPTIONS_SET = Put "/nodes/{node}/firewall/options" AfterLock NODE_OPTIONS;
    NODE_FW_RULES = Get "/nodes/{node}/firewall/rules" Always &[];
    NODE_FW_RULE_INSERT = Post "/nodes/{node}/firewall/rules" AfterLock RULE;
    NODE_FW_RULE_CHANGE = Put "/nodes/{node}/firewall/rules/{pos}" AfterLock RULE_CHANGE;
    NODE_FW_RULE_DELETE = Delete "/nodes/{node}/firewall/rules/{pos}" AfterLock &["digest"];

    GUEST_FW_OPTIONS = Get "/nodes/{node}/qemu/{vmid}/firewall/options" Always &[];
    GUEST_FW_OPTIONS_SET = Put "/nodes/{node}/qemu/{vmid}/firewall/options" AfterLock GUEST_OPTIONS;
    GUEST_FW_RULES = Get "/nodes/{node}/qemu/{vmid}/firewall/rules" Always &[];
    GUEST_FW_RULE_INSERT = Post "/nodes/{node}/qemu/{vmid}/firewall/rules" AfterLock RULE;
    GUEST_FW_RULE_CHANGE = Put "/nodes/{node}/qemu/{vmid}/firewall/rules/{pos}" AfterLock RULE_CHANGE;
    GUEST_FW_RULE_DELETE = Delete "/nodes/{node}/qemu/{vmid}/firewall/rules/{pos}" AfterLock &["digest"];
    GUEST_ALIASES = Get "/nodes/{node}/qemu/{vmid}/firewall/aliases" Always &[];
    GUEST_ALIAS_CREATE = Post "/nodes/{node}/qemu/{vmid}/firewall/aliases" AfterLock &["name", "cidr", "comment"];
    GUEST_ALIAS_UPDATE = Put "/nodes/{node}/qemu/{vmid}/firewall/aliases/{name}" AfterLock
        &["cidr", "comment", "digest"];
    GUEST_ALIAS_DELETE = Delete "/nodes/{node}/qemu/{vmid}/firewall/aliases/{name}" AfterLock &["digest"];
    GUEST_IPSETS = Get "/nodes/{node}/qemu/{vmid}/firewall/ipset" Always &[];
    GUEST_IPSET_CREATE = Post "/nodes/{node}/qemu/{vmid}/firewall/ipset" AfterLock &["name", "comment"];
    GUEST_IPSET_DELETE = Delete "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}" AfterLock &["force"];
    GUEST_IPSET_MEMBERS = Get "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}" Always &[];
    GUEST_IPSET_ADD = Post "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}" AfterLock &["cidr", "nomatch", "comment"];
    GUEST_IPSET_REMOVE = Delete "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}/{cidr}" AfterLock &["digest"];
}

/// Every kind of write that the client can send, as `METHOD /path/{template}`: what a matrix of faults has to cover.
pub fn writes() -> impl Iterator<Item = String> {
    let writes = ALL.iter().filter(|row| row.method != Method::Get);
    writes.map(|row| format!("{} {}", row.method, row.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_parameters_pass() {
        assert!(
            VM_CREATE.takes("net0") && VM_CREATE.takes("scsi12") && VM_CREATE.takes("efidisk0")
        );
        assert!(!VM_CREATE.takes("net") && !VM_CREATE.takes("args") && !VM_CREATE.takes("digest"));
        assert!(
            !VM_UPDATE.takes("force"),
            "`force` would destroy the disk that `delete` detaches"
        );
        assert!(CLUSTER_FW_RULE_INSERT.takes("icmp-type") && !CLUSTER_FW_RULE_INSERT.takes("pos"));
    }
}

//! The codes of everything that can be wrong with an inventory. `docs/diagnostics.md` explains each one.

use crate::diagnostic::Code;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal;)+) => {
        $($(#[doc = $doc])+ pub const $name: Code = Code($code);)+

        /// Every code with its one-line meaning.
        pub const ALL: &[(Code, &str)] = &[$(($name, concat!($($doc),+))),+];
    };
}

codes! {
    /// The file is not YAML, or not one document.
    SYNTAX = "INV001";
    /// The same thing is written twice, in one file or in two.
    DUPLICATE_KEY = "INV002";
    /// A key that does not exist at this place.
    UNKNOWN_KEY = "INV003";
    /// A key that is needed here is missing.
    MISSING_KEY = "INV004";
    /// A value of another kind was expected.
    WRONG_KIND = "INV005";
    /// The text is not a valid name.
    INVALID_NAME = "INV006";
    /// The name is built in, or already means something else.
    NAME_TAKEN = "INV007";
    /// This infra does not know this version of the format.
    UNKNOWN_VERSION = "INV008";
    /// Exactly one of several keys must be there.
    ONE_OF = "INV009";
    /// The list must not be empty.
    EMPTY = "INV010";

    /// Not a size.
    INVALID_SIZE = "INV011";
    /// Not a port.
    INVALID_PORT = "INV012";
    /// Not an address or a network.
    INVALID_ADDRESS = "INV013";
    /// Not a MAC address that a card may have.
    INVALID_MAC = "INV014";
    /// Not a VMID.
    INVALID_VMID = "INV015";
    /// Not a URL that can be used here.
    INVALID_URL = "INV016";
    /// Not a SHA-256 fingerprint.
    INVALID_FINGERPRINT = "INV017";
    /// Not a checksum.
    INVALID_CHECKSUM = "INV018";
    /// Not an IANA time zone.
    INVALID_TIMEZONE = "INV019";
    /// Not a path that can be used here.
    INVALID_PATH = "INV020";
    /// Not permission bits, or not a numeric owner.
    INVALID_MODE = "INV021";
    /// Not a duration.
    INVALID_DURATION = "INV022";
    /// Not a date.
    INVALID_DATE = "INV023";
    /// Not an OpenSSH public key.
    INVALID_SSH_KEY = "INV024";
    /// Not a ZFS property that can be set, or not a value for it.
    INVALID_PROPERTY = "INV025";
    /// None of the words that are possible here.
    INVALID_CHOICE = "INV026";
    /// The number is out of range.
    OUT_OF_RANGE = "INV027";
    /// Not an API token or user id.
    INVALID_API_USER = "INV028";

    /// No such node.
    UNKNOWN_NODE = "INV030";
    /// No such image.
    UNKNOWN_IMAGE = "INV031";
    /// No such zone.
    UNKNOWN_ZONE = "INV032";
    /// No zone, host or set of this name.
    UNKNOWN_ENDPOINT = "INV033";
    /// No such service.
    UNKNOWN_SERVICE = "INV034";
    /// No such dataset.
    UNKNOWN_DATASET = "INV035";
    /// No such profile.
    UNKNOWN_PROFILE = "INV036";
    /// No such stack.
    UNKNOWN_STACK = "INV037";
    /// No such host.
    UNKNOWN_HOST = "INV038";
    /// No such secret.
    UNKNOWN_SECRET = "INV039";
    /// No such address set.
    UNKNOWN_SET = "INV040";
    /// No such template folder.
    UNKNOWN_TEMPLATE = "INV041";
    /// No such file.
    UNKNOWN_FILE = "INV042";
    /// The template has no such variable.
    UNKNOWN_VARIABLE = "INV043";
    /// The template has no such mount.
    UNKNOWN_MOUNT = "INV044";
    /// No such retention policy.
    UNKNOWN_RETENTION = "INV045";
    /// A zpool that cannot be made of these disks.
    INVALID_PART = "INV048";
    /// Two ways to say how a dataset is encrypted.
    ENCRYPTED_TWICE = "INV049";

    /// Two guests with one VMID.
    DUPLICATE_VMID = "INV050";
    /// Two cards with one MAC address.
    DUPLICATE_MAC = "INV051";
    /// One address used twice.
    DUPLICATE_ADDRESS = "INV052";
    /// One name for two things.
    DUPLICATE_NAME = "INV053";
    /// Two services on one host port.
    PORT_CONFLICT = "INV054";
    /// One service name with two meanings.
    SERVICE_CONFLICT = "INV055";
    /// Zones that share addresses.
    ZONE_OVERLAP = "INV056";
    /// Two flows with one id.
    DUPLICATE_FLOW = "INV057";
    /// Two mounts at one place, or one dataset mounted twice.
    DUPLICATE_MOUNT = "INV058";
    /// A place where a copy cannot arrive.
    REPLICA_TARGET = "INV059";

    /// An address outside its zone, or in no zone.
    OUTSIDE_ZONE = "INV060";
    /// A gateway that the card cannot reach.
    GATEWAY_OUTSIDE = "INV061";
    /// A card on a zone without a bridge.
    NO_BRIDGE = "INV062";
    /// A router without an address in the zone that it routes.
    ROUTER_OUTSIDE = "INV063";
    /// Two zones on one bridge without VLANs.
    SHARED_BRIDGE = "INV064";
    /// Nobody may administer the system.
    NO_OPERATORS = "INV065";
    /// A flow past its date.
    EXPIRED_FLOW = "INV067";
    /// A limit that no layer could keep.
    LIMIT_NOT_KEPT = "INV066";
    /// Masquerading without a router.
    MASQUERADE_WITHOUT_ROUTER = "INV068";
    /// A bridge of a node that could not carry what it is for, or would cut the node off.
    BRIDGE = "INV069";

    /// A balloon minimum above the memory.
    BALLOON_ABOVE_MEMORY = "INV070";
    /// A virtiofs mount from another machine.
    VIRTIOFS_ELSEWHERE = "INV071";
    /// A guest that cannot be reached: no card, or no address.
    NO_ADDRESS = "INV072";
    /// A guest, but no Proxmox to run it.
    NO_PROXMOX = "INV073";
    /// A jump host that leads back to itself.
    JUMP_LOOP = "INV074";
    /// An option that only root may set, that infra sets itself, or that Proxmox does not have.
    INVALID_OPTION = "INV075";
    /// A device or disk that the rest of the guest has no place for.
    DEVICE_WITHOUT_PLACE = "INV076";
    /// Not a cloud-init document, or a key in it that infra writes.
    INVALID_CLOUD_INIT = "INV077";
    /// A guest that cannot live, or be copied to, where it is told to.
    PLACEMENT = "INV078";
    /// An HA rule that Proxmox would refuse, or that cannot be kept.
    HA_RULE = "INV079";

    /// Stacks that wait for each other.
    NEEDS_LOOP = "INV080";
    /// A mount of the stack that its host does not have.
    MOUNT_NOT_ON_HOST = "INV081";
    /// A variable without a value.
    VARIABLE_WITHOUT_VALUE = "INV082";
    /// A template folder without a compose file or manifest.
    TEMPLATE_INCOMPLETE = "INV083";
    /// The manifest speaks of a file that is not in the folder.
    MANIFEST_FILE = "INV084";
    /// Data that cannot go back with a release alone.
    GUARD = "INV085";

    /// A secret that nothing uses.
    UNUSED_SECRET = "INV090";
    /// A placeholder that the owner must fill in before a real run.
    PLACEHOLDER = "INV091";
    /// Nobody can log in to the guests.
    NO_AUTHORIZED_KEYS = "INV092";
    /// A set, image or profile that nothing uses.
    UNUSED = "INV093";
    /// An image whose content is not pinned.
    UNPINNED_IMAGE = "INV094";
    /// A card that Proxmox's firewall does not see.
    UNSEEN_CARD = "INV095";

    /// Not a schedule, or one that never comes.
    INVALID_SCHEDULE = "INV110";
    /// A retention that keeps nothing.
    KEEPS_NOTHING = "INV111";
    /// A place where a repository cannot be, or would be lost with what it backs up.
    BACKUP_REPOSITORY = "INV112";
    /// Something that a job cannot back up.
    BACKUP_SOURCE = "INV113";
    /// A database or an export of a stack that cannot be made.
    BACKUP_OF_STACK = "INV114";
    /// A place to restore to where live data is.
    RESTORE_TARGET = "INV115";

    /// No such nightly job.
    UNKNOWN_JOB = "INV120";

    /// An interface that no zone can stand behind.
    ZONE_INTERFACE = "INV130";
}

//! What OpenZFS 2.3.9 said, classified and parsed.

use crate::model::ids::DatasetName;
use crate::model::property;
use crate::providers::{
    shell::Output,
    zfs::{ZfsError, parse_facts},
};
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Recorded {
    pub(super) cmd: String,
    rc: i32,
    pub(super) stdout: String,
    stderr: String,
}

/// Commands that ran on a real pool, in order.
pub(super) fn transcripts() -> Vec<Recorded> {
    include_str!("../../../../tests/zfs/transcripts.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("a recorded command"))
        .collect()
}

pub(super) fn stdout(cmd: &str) -> String {
    let row = transcripts().into_iter().find(|row| row.cmd == cmd);
    row.unwrap_or_else(|| panic!("`{cmd}` was recorded")).stdout
}

fn kind(error: &ZfsError) -> &'static str {
    match error {
        ZfsError::Shell(_) => "shell",
        ZfsError::NotThere { .. } => "not there",
        ZfsError::Exists { .. } => "exists",
        ZfsError::NotFound { .. } => "not found",
        ZfsError::CreateOnly { .. } => "create-only",
        ZfsError::Invalid { .. } => "invalid",
        ZfsError::Busy { .. } => "busy",
        ZfsError::NoSpace { .. } => "no space",
        ZfsError::Denied { .. } => "denied",
        ZfsError::KeyNotLoaded { .. } => "key",
        ZfsError::NotEmpty { .. } => "not empty",
        ZfsError::NotMounted { .. } => "not mounted",
        ZfsError::LeadsOut { .. } => "leads out",
        ZfsError::Partly { .. } => "partly",
        ZfsError::NotEmptyDisk { .. } => "not empty disk",
        ZfsError::Unreadable { .. } => "unreadable",
        ZfsError::Held { .. } => "held",
        ZfsError::InTheWay { .. } => "in the way",
        ZfsError::Refused { .. } => "refused",
        ZfsError::Garbled { .. } => "garbled",
    }
}

#[test]
fn every_recorded_refusal_has_its_kind() {
    let failed: Vec<String> = transcripts()
        .into_iter()
        .filter(|row| row.rc != 0)
        .map(|row| {
            let output = Output {
                code: row.rc,
                stderr: row.stderr.into_bytes(),
                ..Output::default()
            };
            let end = row
                .cmd
                .char_indices()
                .nth(62)
                .map_or(row.cmd.len(), |(end, _)| end);
            format!(
                "{}: {}",
                &row.cmd[..end],
                kind(&ZfsError::of("pve", "tank/x", &output))
            )
        })
        .collect();
    let expected = [
        "zfs list nope: not found",
        "zfs create tank/media: exists",
        "zfs create tank/a/b: not found",
        "zfs create nope/x: not found",
        "zfs create 'tank/a@b': invalid",
        "zfs create 'tank/x%y': invalid",
        "zfs create 'tank/été': invalid",
        "zfs create -o recordsize=3K tank/bad: invalid",
        "zfs create -o quota=banana tank/bad: invalid",
        "zfs create -o nosuchprop=1 tank/bad: invalid",
        "zfs create -o compression=nope tank/bad: invalid",
        "zfs create tank/nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn: invalid",
        "zfs create -o encryption=on tank/enc2: invalid",
        "zfs set encryption=on tank/media: create-only",
        "zfs set volblocksize=8K tank/vol: create-only",
        "zfs set casesensitivity=insensitive tank/media: create-only",
        "zfs set recordsize=3K tank/media: invalid",
        "zfs set mountpoint=relative tank/media: invalid",
        "cd /mnt/tank/media && sleep 0.1; (cd /mnt/tank/media; sleep 5 : busy",
        "zfs set quota=1K tank/appdata: no space",
        "zfs mount tank/backups: busy",
        "zfs mount tank/enc: key",
        "su -s /bin/sh nobody -c \"/usr/sbin/zfs create tank/nope\": denied",
        "zfs create full/y: no space",
        "zfs mount tank/legacy: refused",
    ];
    assert_eq!(failed, expected);
}

#[test]
fn recorded_properties_parse_and_compare() {
    let pool = "tank\tONLINE\t1006632960\t1006166016\n";
    let rows = stdout(
        "zfs get -Hp -o name,property,value,source recordsize,compression,atime,xattr,acltype,quota,reservation,\
         mountpoint,canmount,encryption,keystatus,org.infra:managed tank tank/media tank/appdata tank/owned tank/enc",
    );
    let all = stdout("zfs get -Hp all tank/media");
    let kinds = "tank\ttype\tfilesystem\t-\ntank/appdata\ttype\tfilesystem\t-\ntank/enc\ttype\tfilesystem\t-\n\
                 tank/owned\ttype\tfilesystem\t-\n";
    let text = format!(
        "==zfs pool tank\n{pool}==zfs exit 0 \n==zfs datasets tank\n{kinds}{rows}{all}==zfs exit 0 \n"
    );
    let (datasets, _) = parse_facts(&text).expect("recorded");
    assert_eq!(datasets.len(), 5);
    let met = |dataset: &str, name: &str, wanted: &str| {
        let fact = &datasets[&DatasetName::new(dataset).expect("valid")];
        property::is_met(name, wanted, fact.properties.get(name))
    };
    // As they were asked for when the pool was made: `-O xattr=sa -O acltype=posixacl -O compression=lz4 -O atime=off`.
    assert!(met("tank", "xattr", "sa") && met("tank", "acltype", "posixacl"));
    assert!(met("tank/media", "recordsize", "1M") && met("tank/media", "compression", "zstd"));
    assert!(met("tank/appdata", "quota", "200M") && met("tank/appdata", "reservation", "10M"));
    assert!(met("tank/enc", "encryption", "on") && !met("tank/enc", "encryption", "off"));
    assert!(!met("tank/media", "quota", "1G") && met("tank/media", "quota", "none"));
    let media = &datasets[&DatasetName::new("tank/media").expect("valid")];
    assert_eq!(media.properties["guid"].value, "6182244089317228900");
    assert_eq!(media.properties["mountpoint"].source, "inherited from tank");
    assert!(
        media.properties.len() > 60,
        "all of them: {}",
        media.properties.len()
    );
}

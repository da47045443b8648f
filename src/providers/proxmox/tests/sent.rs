//! Everything that the client can send, sent once, against the table and the published schema.

use super::{
    lives::{KINDS, change_lives, rule},
    schema::{Schema, placeholders, row_of},
    server::{Asked, Reply, Server, client, hasty},
};
use crate::model::{
    desired::ApiAuth,
    firewall::PveAlias,
    ids::Vmid,
    image::{Checksum, Download},
};
use crate::providers::proxmox::{
    Client, ConfigChange, FirewallScope, ProxmoxRead, ProxmoxRequest, ProxmoxWrite,
    endpoint::{self, Endpoint},
};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::sync::OnceCell;

const UPID: &str = "UPID:pve:000000DD:000938FA:6B008433:qmcreate:110:root@pam:";

/// A cluster with one guest that says yes to everything but a second directory mapping.
fn agreeable(asked: &Asked, _before: usize) -> Reply {
    let path = asked.target.split('?').next().unwrap_or_default();
    match asked.method.as_str() {
        "GET" => Reply::data(match path.rsplit('/').next().unwrap_or_default() {
            "version" => r#"{"version":"9.2.11"}"#,
            "resources" => {
                r#"[{"type":"node","node":"pve","status":"online"},{"type":"qemu","node":"pve","vmid":110,"status":"running"}]"#
            }
            "status" => r#"{"status":"stopped","exitstatus":"out of luck"}"#,
            "current" => r#"{"status":"running"}"#,
            "config" | "options" => "{}",
            "ipset" => r#"[{"name":"lan"}]"#,
            // A name, so that the aliases are asked for.
            "lan" => r#"[{"cidr":"nas"}]"#,
            "file-read" => r#"{"bytes-read":4,"content":"done"}"#,
            "groups" => r#"[{"group":"infra-web"}]"#,
            _ => "[]",
        }),
        "POST" if path == "/access/ticket" => {
            Reply::data(r#"{"ticket":"PVE:t","CSRFPreventionToken":"c"}"#)
        }
        "POST" if path == "/cluster/mapping/dir" => Reply::message(
            500,
            "create directory mapping failed: dir ID 'tank-media' already defined\n",
        ),
        "PUT" if path.ends_with("/network") => Reply::data(&format!("\"{UPID}\"")),
        _ if path == "/pools"
            || path.starts_with("/cluster/ha/")
            || path.starts_with("/cluster/replication")
            || path.starts_with("/cluster/sdn/")
            || path.contains("/network") =>
        {
            Reply::data("null")
        }
        _ if path.contains("/firewall/") || path.contains("/mapping/") => Reply::data("null"),
        _ => Reply::data(&format!("\"{UPID}\"")),
    }
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn vmid() -> Vmid {
    Vmid::new(110).expect("valid")
}

async fn read_everything(client: &Client) {
    let node = "pve".parse().expect("valid");
    let request = ProxmoxRequest {
        nodes: BTreeSet::from([node]),
        content: BTreeMap::from([(
            (
                "pve".parse().expect("valid"),
                "local".parse().expect("valid"),
            ),
            BTreeSet::from(["iso".to_owned(), "import".to_owned()]),
        )]),
        guests: BTreeMap::from([(vmid(), "pve".parse().expect("valid"))]),
        mark: None,
        firewall: true,
        pools: true,
        entries: KINDS.into(),
    };
    client
        .observe(&request)
        .await
        .expect("everything is answered");
    client
        .wait(&UPID.parse().expect("valid"), Duration::from_secs(1))
        .await
        .expect_err("so the log is read");
    // What a doctor asks; the server here has no answers that would fit.
    client.rights().await.ok();
    client.health("pve").await.ok();
    client.agent_answers("pve", vmid()).await.ok();
}

async fn change_guests(client: &Client) {
    let image = Download {
        url: "https://cloud.debian.org/images/debian-13.qcow2?a=b&c=d".to_owned(),
        filename: "debian-13.qcow2".to_owned(),
        checksum: Some(Checksum {
            algorithm: "sha512".to_owned(),
            hex: "ab".repeat(64),
        }),
    };
    let options = map(&[
        ("agent", "enabled=1"),
        ("boot", "order=scsi0;ide2"),
        ("cores", "4"),
        ("description", "made by infra; 100% = sure + more"),
        ("hostpci0", "mapping=igpu"),
        ("ide2", "local:iso/infra-home-110.iso,media=cdrom"),
        ("memory", "8192"),
        ("name", "intranet"),
        ("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1"),
        ("onboot", "1"),
        (
            "scsi0",
            "local-zfs:0,import-from=local:import/debian-13.qcow2",
        ),
        ("sshkeys", "ssh-ed25519 AAAA+/= a@b\nssh-ed25519 BBBB c@d"),
        ("tags", "infra;intranet"),
        ("virtiofs0", "dirid=tank-media"),
    ]);
    let change = ConfigChange {
        set: map(&[("memory", "4096")]),
        delete: BTreeSet::from(["balloon".to_owned(), "net1".to_owned()]),
        digest: Some("7c6dab4b255078f8392a36bb2162a246f2f103d8".to_owned()),
    };
    let vmid = vmid();
    client
        .download_url("pve", "local", &image)
        .await
        .expect("yes");
    client
        .upload_iso("pve", "local", "infra-home-110.iso", vec![0, 255, b'\n'])
        .await
        .expect("yes");
    client
        .delete_volume("pve", "local:iso/infra-home-110.iso")
        .await
        .expect("yes");
    client.create_vm("pve", vmid, &options).await.expect("yes");
    client
        .update_config("pve", vmid, &change)
        .await
        .expect("yes");
    client
        .resize_disk("pve", vmid, "scsi0", 64 << 30)
        .await
        .expect("yes");
    client.start("pve", vmid).await.expect("yes");
    client.stop("pve", vmid).await.expect("yes");
    client.shutdown("pve", vmid, 60, true).await.expect("yes");
    client.reboot("pve", vmid, 60).await.expect("yes");
    let entries = [
        "node=pve,path=/mnt/tank/media".to_owned(),
        "node=pve2,path=/mnt/tank/media".to_owned(),
    ];
    client
        .put_dir_mapping("tank-media", &entries, Some("infra"))
        .await
        .expect("yes");
}

fn scopes() -> [FirewallScope; 4] {
    [
        FirewallScope::Cluster,
        FirewallScope::Group("infra-web".to_owned()),
        FirewallScope::Node("pve".to_owned()),
        FirewallScope::Guest {
            node: "pve".to_owned(),
            vmid: vmid(),
        },
    ]
}

async fn change_firewalls(client: &Client) {
    const DIGEST: &str = "971ed341680d4fb0bf2c13a7d67f89b2513fafe6";
    let alias = PveAlias {
        cidr: "192.168.1.20".to_owned(),
        comment: Some("infra:intranet".to_owned()),
    };
    client
        .create_group("infra-web", Some("infra"))
        .await
        .expect("yes");
    for scope in &scopes() {
        client.insert_rule(scope, &rule()).await.expect("yes");
        client
            .update_rule(scope, 2, &rule(), DIGEST)
            .await
            .expect("yes");
        client.move_rule(scope, 0, 2, DIGEST).await.expect("yes");
        client.delete_rule(scope, 0, DIGEST).await.expect("yes");
        let has_options = !matches!(scope, FirewallScope::Group(_));
        let (set, delete) = (
            map(&[("enable", "1")]),
            BTreeSet::from(["log_level_in".to_owned()]),
        );
        let done = client.set_options(scope, &set, &delete).await;
        assert_eq!(done.is_ok(), has_options, "{scope}");
        let has_sets = matches!(scope, FirewallScope::Cluster | FirewallScope::Guest { .. });
        for result in [
            client.create_alias(scope, "intranet", &alias).await,
            client.update_alias(scope, "intranet", &alias).await,
            client.delete_alias(scope, "intranet").await,
            client.create_ipset(scope, "ipfilter-net0", None).await,
            client
                .add_member(scope, "ipfilter-net0", "192.168.1.0/24", true)
                .await,
            client
                .remove_member(scope, "ipfilter-net0", "192.168.1.0/24")
                .await,
            client.delete_ipset(scope, "ipfilter-net0").await,
        ] {
            assert_eq!(result.is_ok(), has_sets, "{scope}: {result:?}");
        }
    }
    client.delete_group("infra-web").await.expect("yes");
}

/// What arrives when everything is sent, sent once for all tests.
async fn everything() -> Vec<Asked> {
    static ASKED: OnceCell<Vec<Asked>> = OnceCell::const_new();
    ASKED.get_or_init(send_everything).await.clone()
}

async fn send_everything() -> Vec<Asked> {
    let server = Server::start(agreeable);
    let mut api = server.api();
    api.auth = ApiAuth::Password {
        user: "root@pam".to_owned(),
        password: "password".parse().expect("valid"),
    };
    let client = client(&api, hasty());
    read_everything(&client).await;
    change_guests(&client).await;
    change_lives(&client).await;
    change_firewalls(&client).await;
    server.asked()
}

fn path(asked: &Asked) -> &str {
    asked.target.split('?').next().unwrap_or_default()
}

fn row(asked: &Asked) -> &'static Endpoint {
    row_of(&asked.method, path(asked)).unwrap_or_else(|| panic!("`{}` is in no row", asked.line()))
}

/// Query or form, decoded as Perl's CGI does it: pairs end at `&` and `;`, `+` is a space.
fn parameters(asked: &Asked) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text)
            .decode_utf8()
            .expect("UTF-8")
            .into_owned()
    };
    let query = asked
        .target
        .split_once('?')
        .map(|(_, query)| query.to_owned());
    let is_form = asked
        .headers
        .get("content-type")
        .is_some_and(|kind| kind == "application/x-www-form-urlencoded");
    let text = query
        .or_else(|| is_form.then(|| asked.text()))
        .unwrap_or_default();
    text.split(['&', ';'])
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let mut halves = pair.split('=');
            let (name, value) = (
                halves.next().expect("a name"),
                halves.next().expect("a value"),
            );
            assert_eq!(
                halves.next(),
                None,
                "Proxmox cuts `{pair}` at the second `=`"
            );
            (decode(name), decode(value))
        })
        .collect()
}

#[tokio::test]
async fn every_row_of_the_table_is_used_and_no_other() {
    let used: BTreeSet<String> = everything()
        .await
        .iter()
        .map(|asked| format!("{} {}", row(asked).method, row(asked).path))
        .collect();
    let table: BTreeSet<String> = endpoint::ALL
        .iter()
        .map(|row| format!("{} {}", row.method, row.path))
        .collect();
    assert_eq!(used, table);
}

#[tokio::test]
async fn values_arrive_as_they_were_given() {
    let asked = everything().await;
    let created = asked
        .iter()
        .find(|asked| asked.line() == "POST /nodes/pve/qemu")
        .expect("sent");
    let parameters: BTreeMap<String, String> = parameters(created).into_iter().collect();
    assert_eq!(parameters["boot"], "order=scsi0;ide2");
    assert_eq!(
        parameters["description"],
        "made by infra; 100% = sure + more"
    );
    assert_eq!(parameters["vmid"], "110");
    let keys = &parameters["sshkeys"];
    assert!(
        keys.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-%_.!~*'()".contains(&b)),
        "{keys}"
    );
    let keys = percent_decode_str(keys).decode_utf8().expect("UTF-8");
    assert_eq!(keys, "ssh-ed25519 AAAA+/= a@b\nssh-ed25519 BBBB c@d");
}

#[tokio::test]
async fn bodies_are_announced_and_only_where_they_are_allowed() {
    for asked in everything().await {
        let line = asked.line();
        assert!(
            !asked.headers.contains_key("transfer-encoding"),
            "{line}: pveproxy answers 501 to chunks"
        );
        if asked.body.is_empty() {
            assert!(
                !asked.headers.contains_key("content-type"),
                "{line}: an empty body has no type"
            );
        } else {
            assert!(matches!(asked.method.as_str(), "POST" | "PUT"), "{line}");
        }
    }
}

#[tokio::test]
async fn an_upload_names_the_file_last_and_by_its_checksum() {
    let asked = everything().await;
    let upload = asked
        .iter()
        .find(|asked| asked.target.ends_with("/upload"))
        .expect("sent");
    let names: Vec<String> = upload
        .text()
        .split("Content-Disposition: form-data; name=\"")
        .skip(1)
        .map(|part| part.split('"').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(
        names,
        ["content", "checksum-algorithm", "checksum", "filename"]
    );
    let text = upload.text();
    assert!(
        text.contains("; filename=\"infra-home-110.iso\"\r\n"),
        "{text}"
    );
    // printf '\0\377\n' | sha256sum
    assert!(
        text.contains("712450d3c4a79eea9509e75dc1dacdeff58034df538536cfae2da882bd8a0c50"),
        "{text}"
    );
}

#[tokio::test]
async fn a_rule_is_always_told_whether_it_acts_and_a_move_goes_alone() {
    let asked = everything().await;
    let guest = "/nodes/pve/qemu/110/firewall/rules";
    let sent = |method: &str, number: usize, path: &str| {
        let mut of = asked
            .iter()
            .filter(|asked| asked.method == method && asked.target == path);
        parameters(of.nth(number).expect("sent"))
            .into_iter()
            .collect::<BTreeMap<_, _>>()
    };
    let inserted = sent("POST", 0, guest);
    assert_eq!(
        (inserted["enable"].as_str(), inserted["source"].as_str()),
        ("1", "+dc/lan")
    );
    let updated = sent("PUT", 0, &format!("{guest}/2"));
    assert_eq!(updated["delete"], "dest,sport,icmp-type,macro");
    let moved = sent("PUT", 0, &format!("{guest}/0"));
    assert_eq!(moved.keys().collect::<Vec<_>>(), ["digest", "moveto"]);
    assert_eq!(
        moved["moveto"], "3",
        "before the third means behind the second"
    );
}

#[tokio::test]
async fn every_value_that_was_sent_passes_the_published_schema() {
    let Some(schema) = Schema::load() else { return };
    let mut wrong = Vec::new();
    for asked in everything().await {
        let row = row(&asked);
        let properties = schema.properties(row);
        let template = row.path.split('/').zip(path(&asked).split('/'));
        let in_path = template
            .filter(|(name, _)| name.starts_with('{'))
            .map(|(name, value)| {
                let value = percent_decode_str(value)
                    .decode_utf8()
                    .expect("UTF-8")
                    .into_owned();
                (name.trim_matches(['{', '}']).to_owned(), value)
            });
        let mut given: Vec<(String, String)> = in_path.collect();
        assert_eq!(given.len(), placeholders(row.path).count());
        given.extend(parameters(&asked));
        if row.path.ends_with("/upload") {
            let fields = [
                ("content", "iso"),
                ("filename", "infra-home-110.iso"),
                ("checksum-algorithm", "sha256"),
            ];
            given.extend(fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        for (name, value) in &given {
            match properties.get(name) {
                None => wrong.push(format!("{}: no parameter `{name}`", asked.line())),
                Some(property) => {
                    wrong.extend(
                        refused(property, value)
                            .map(|why| format!("{}: {name}: {why}", asked.line())),
                    );
                }
            }
        }
        for (name, property) in properties {
            let is_given = given.iter().any(|(given, _)| *given == name);
            if property["optional"] != 1 && !is_given {
                wrong.push(format!(
                    "{}: the required `{name}` is missing",
                    asked.line()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Why a property of the schema would refuse a value.
fn refused(property: &Value, value: &str) -> Option<String> {
    let limit = |name: &str| property[name].as_i64();
    if let Some(allowed) = property["enum"].as_array()
        && !allowed.iter().any(|allowed| allowed == value)
    {
        return Some(format!("`{value}` is not one of {allowed:?}"));
    }
    match property["type"].as_str() {
        Some("integer") => {
            let Ok(number) = value.parse::<i64>() else {
                return Some(format!("`{value}` is not a number"));
            };
            let below = limit("minimum").is_some_and(|minimum| number < minimum);
            let above = limit("maximum").is_some_and(|maximum| number > maximum);
            (below || above).then(|| format!("{number} is out of range"))
        }
        Some("boolean") => {
            (value != "0" && value != "1").then(|| format!("`{value}` is neither 0 nor 1"))
        }
        Some("string") => {
            let length = i64::try_from(value.len()).expect("short");
            let long = limit("maxLength").is_some_and(|maximum| length > maximum);
            let short = limit("minLength").is_some_and(|minimum| length < minimum);
            (long || short).then(|| format!("`{value}` has the wrong length"))
        }
        _ => None,
    }
}

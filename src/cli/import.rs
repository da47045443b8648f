//! `infra import`: an inventory from a Proxmox that runs already, and the proof that it says what is there.

use super::{
    context::Context,
    exit,
    failure::{Failure, failed},
    live,
    session::{self, Lab, Session},
    system,
};
use crate::adopt::{self, Imported, Origin};
use crate::inventory;
use crate::model::{
    desired::{ApiAuth, ProxmoxApi, TlsTrust},
    facts::FactsRequest,
    ids::{HostName, SecretName, SystemName},
    observed::ObservedProxmox,
    secret::SecretValues,
};
use crate::plan::Plan;
use crate::providers::{
    host::HostRead as _,
    proxmox::{Client, ClientOptions, Fingerprint, ProxmoxRead as _, ProxmoxRequest},
    shell::{Command, Shell as _},
};
use crate::view::{human, words};
use clap::Args;
use secrecy::SecretString;
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// The variable that holds the token's value, unless another is named.
const VARIABLE: &str = "INFRA_PROXMOX_TOKEN";
/// The list of what the inventory does not say, beside it.
const UNSAID: &str = "not-imported.md";

/// Write an inventory from a Proxmox that runs already
///
/// Asks the API, and the nodes over SSH for their datasets, and writes nothing there. Guests are adopted: compared from
/// now on, never made, started, stopped or destroyed. What an inventory cannot say is listed in `not-imported.md`.
/// Afterwards the plan of what was written is made, which must be empty.
#[derive(Debug, Clone, Args)]
pub(crate) struct ImportArgs {
    /// Folder to write, new or empty
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Name of the inventory; the folder's name unless given
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The API: `https://192.168.1.10:8006`
    #[arg(long, value_name = "URL")]
    pub(crate) api: Option<String>,
    /// `user@realm!tokenid` of an API token that may look
    #[arg(long, value_name = "TOKEN")]
    pub(crate) token_id: Option<String>,
    /// Environment variable that holds the token's value
    #[arg(long, value_name = "NAME", default_value = VARIABLE)]
    pub(crate) token_env: String,
    /// SHA-256 fingerprint of the API's certificate, as `pvenode cert info` prints it on the node
    #[arg(long, value_name = "SHA256")]
    pub(crate) fingerprint: Option<String>,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &ImportArgs) -> Result<u8, Failure> {
    empty(&args.folder)?;
    let lab = live::lab_of(context)?;
    let reached = match &lab {
        Some(lab) => in_lab(args, lab)?,
        None => real(context, args)?,
    };
    live::block_on(import(context, args, reached, lab.as_ref()))
}

/// Who is asked, and how the inventory will name it.
struct Reached {
    origin: Origin,
    client: Client,
}

async fn import(
    context: &Context,
    args: &ImportArgs,
    reached: Reached,
    lab: Option<&Lab>,
) -> Result<u8, Failure> {
    let Reached { origin, client } = reached;
    let seen = look(&client).await?;
    let mut imported = adopt::proxmox(&origin, &seen);
    write(&args.folder, &imported)?;
    let session = again(context, args, lab)?;
    let before = imported.files.len();
    for (host, shell) in &session.hosts {
        if let Err(why) = datasets(host, shell, &mut imported).await {
            imported
                .unsaid
                .push(format!("the zpools of {host} could not be read: {why}"));
        }
    }
    write(&args.folder, &imported)?;
    let session = if imported.files.len() == before {
        session
    } else {
        again(context, args, lab)?
    };
    let observed = session.look().await;
    let plan = session.plan(&observed)?;
    tell(context, args, &imported, &plan);
    Ok(if plan.is_empty() {
        exit::DONE
    } else {
        exit::PENDING
    })
}

/// A folder with anything in it is somebody's.
fn empty(folder: &Path) -> Result<(), Failure> {
    match std::fs::read_dir(folder).map(Iterator::count) {
        Ok(0) => Ok(()),
        Ok(_) => Err(
            Failure::new(exit::USAGE, format!("{} is not empty", folder.display()))
                .hint("Name a new folder: nothing that is there is overwritten."),
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => {
            Err(Failure::of(exit::USAGE, &error)
                .hint(format!("The folder is {}.", folder.display())))
        }
    }
}

fn name(args: &ImportArgs) -> Result<SystemName, Failure> {
    let own = args.folder.file_name().map(|name| name.to_string_lossy());
    let text = args
        .name
        .clone()
        .unwrap_or_else(|| own.unwrap_or_default().into_owned());
    SystemName::new(text)
        .map_err(|error| Failure::of(exit::USAGE, &error).hint("Name the inventory with `--name`."))
}

fn real(context: &Context, args: &ImportArgs) -> Result<Reached, Failure> {
    let given = |value: &Option<String>, option: &str| {
        value.clone().ok_or_else(|| {
            Failure::new(exit::USAGE, format!("`{option}` is missing"))
                .hint("Without `--lab` the API is named: `--api`, `--token-id`, `--fingerprint`.")
        })
    };
    let endpoint = given(&args.api, "--api")?;
    let token = given(&args.token_id, "--token-id")?;
    let print = given(&args.fingerprint, "--fingerprint")?;
    let wrong = || {
        Failure::new(
            exit::USAGE,
            format!("`{endpoint}` is not the address of an API"),
        )
        .hint("Write it like this: `--api https://192.168.1.10:8006`.")
    };
    let (host, port) = server(&endpoint).ok_or_else(wrong)?;
    let digest = inventory::fingerprint(&print).map_err(|why| Failure::new(exit::USAGE, why))?;
    let variable = &args.token_env;
    let value = context
        .env
        .variables
        .get(variable)
        .cloned()
        .ok_or_else(|| {
            Failure::new(exit::USAGE, format!("`{variable}` is not set"))
                .hint("Put the token's value into it; it is written to no file.")
        })?;
    let address = host.parse().ok();
    let api = ProxmoxApi {
        host,
        port,
        auth: ApiAuth::Token {
            id: token.clone(),
            secret: secret()?,
        },
        tls: TlsTrust::Fingerprint(digest),
    };
    let origin = Origin {
        system: name(args)?,
        endpoint: endpoint.clone(),
        address,
        token,
        variable: variable.clone(),
        fingerprint: print,
    };
    connected(origin, &api, value, ClientOptions::default())
}

fn server(endpoint: &str) -> Option<(String, u16)> {
    let rest = endpoint.strip_prefix("https://")?.trim_end_matches('/');
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        Some(_) | None => (rest, 8006),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let plain = !host.is_empty() && !host.contains('/') && !host.contains('@');
    plain.then(|| (host.to_owned(), port))
}

fn secret() -> Result<SecretName, Failure> {
    SecretName::new("proxmox_token").map_err(|error| failed(&error))
}

fn connected(
    origin: Origin,
    api: &ProxmoxApi,
    value: String,
    options: ClientOptions,
) -> Result<Reached, Failure> {
    let mut values = SecretValues::default();
    values.insert(secret()?, SecretString::from(value));
    let client = Client::connect(api, &values, options).map_err(|error| failed(&error))?;
    Ok(Reached { origin, client })
}

/// The lab stands in for the real cluster, and the inventory has the lab's name, so that `--lab` knows it again.
#[cfg(feature = "lab")]
fn in_lab(args: &ImportArgs, lab: &Lab) -> Result<Reached, Failure> {
    let system = SystemName::new(lab.system.clone()).map_err(|error| failed(&error))?;
    let named = args.name.as_ref().is_some_and(|name| *name != lab.system);
    if named {
        return Err(Failure::new(
            exit::USAGE,
            format!("the lab was made for `{}`", lab.system),
        )
        .hint("Leave out `--name`."));
    }
    let clock = super::substitute::clock(lab);
    let Some(lab) = &lab.api else {
        return Err(Failure::new(exit::USAGE, "the lab has no Proxmox"));
    };
    let digest = super::substitute::fingerprint(&lab.fingerprint)?;
    let api = ProxmoxApi {
        host: lab.address.ip().to_string(),
        port: lab.address.port(),
        auth: ApiAuth::Token {
            id: lab.token_id.clone(),
            secret: secret()?,
        },
        tls: TlsTrust::Fingerprint(digest),
    };
    let origin = Origin {
        system,
        endpoint: format!("https://{}", lab.address),
        address: Some(lab.address.ip()),
        token: lab.token_id.clone(),
        variable: args.token_env.clone(),
        fingerprint: Fingerprint(digest).to_string(),
    };
    let options = ClientOptions::default().scaled(clock);
    connected(origin, &api, lab.token_secret.clone(), options)
}

/// Without the feature no lab exists.
#[cfg(not(feature = "lab"))]
fn in_lab(_args: &ImportArgs, lab: &Lab) -> Result<Reached, Failure> {
    match *lab {}
}

/// Everything: first which nodes and guests there are, then all about each.
async fn look(client: &Client) -> Result<ObservedProxmox, Failure> {
    let told = |error| {
        let failure = failed(&error);
        match crate::providers::proxmox::ProxmoxError::hint(&error) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    };
    let lists = client
        .observe(&ProxmoxRequest::default())
        .await
        .map_err(told)?;
    let here = |node: &str| HostName::new(node).ok();
    let request = ProxmoxRequest {
        nodes: lists.nodes.keys().cloned().collect(),
        guests: lists
            .guests
            .iter()
            .filter_map(|(vmid, found)| Some((*vmid, here(&found.node)?)))
            .collect(),
        firewall: true,
        pools: true,
        ..ProxmoxRequest::default()
    };
    client.observe(&request).await.map_err(told)
}

/// What was written, loaded as any inventory is. The token's value is where the inventory says.
fn again(context: &Context, args: &ImportArgs, lab: Option<&Lab>) -> Result<Session, Failure> {
    let inside = context.in_folder(&args.folder);
    session::open(&inside, system::load(&inside)?, lab)
}

async fn datasets(
    host: &HostName,
    shell: &crate::providers::ssh::SshHost,
    imported: &mut Imported,
) -> Result<(), String> {
    let list = Command::new(["zpool", "list", "-H", "-o", "name"]);
    let output = shell.run(list).await.map_err(|error| error.to_string())?;
    if output.code == 127 {
        return Ok(());
    }
    if !output.is_success() {
        return Err(output.complaint());
    }
    let request = FactsRequest {
        zpools: output.text().lines().map(str::to_owned).collect(),
        ..FactsRequest::default()
    };
    if request.zpools.is_empty() {
        return Ok(());
    }
    let facts = shell
        .facts(&request)
        .await
        .map_err(|error| error.to_string())?;
    adopt::zfs(host, &facts, imported);
    Ok(())
}

fn write(folder: &Path, imported: &Imported) -> Result<(), Failure> {
    let mut list = String::from(
        "# What the inventory does not say\n\n\
         `infra import` saw this and had no words for it. infra leaves all of it alone.\n\n",
    );
    for line in &imported.unsaid {
        let _ = writeln!(list, "- {line}");
    }
    let all = imported
        .files
        .iter()
        .map(|(name, text)| (name.as_str(), text));
    let failed = |error: std::io::Error| {
        Failure::of(exit::FAILED, &error).hint(format!("The folder is {}.", folder.display()))
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    for (name, text) in all.chain([(UNSAID, &list)]) {
        std::fs::write(folder.join(name), text).map_err(failed)?;
    }
    Ok(())
}

fn tell(context: &Context, args: &ImportArgs, imported: &Imported, plan: &Plan) {
    if context.global.json {
        context.terminal.json(&serde_json::json!({
            "folder": args.folder,
            "files": imported.files.keys().collect::<Vec<_>>(),
            "guests": imported.guests,
            "templates": imported.templates,
            "not_imported": imported.unsaid,
            "plan": plan,
        }));
        return;
    }
    let mut out = format!(
        "Wrote {}: {} and {} in {}.\n",
        args.folder.display(),
        words::count(imported.guests, "guest", "guests"),
        words::count(imported.templates, "template", "templates"),
        imported
            .files
            .keys()
            .cloned()
            .collect::<Vec<_>>()
            .join(", "),
    );
    if !imported.unsaid.is_empty() {
        let things = words::count(imported.unsaid.len(), "thing", "things");
        let _ = writeln!(
            out,
            "{things} could not be said and are listed in {}.",
            args.folder.join(UNSAID).display()
        );
    }
    if plan.is_empty() {
        let _ = writeln!(
            out,
            "What was written is what is there: {}",
            human::summary(plan)
        );
    } else {
        out.push_str("What was written is not all of what is there:\n\n");
        out.push_str(&human::plan(plan, true));
    }
    context.terminal.answer(&out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_has_a_host_and_a_port() {
        for (text, expected) in [
            ("https://192.168.1.10:8006", Some(("192.168.1.10", 8006))),
            ("https://pve.home.arpa/", Some(("pve.home.arpa", 8006))),
            ("https://[fd00::1]:443", Some(("fd00::1", 443))),
            ("https://[fd00::1]", Some(("fd00::1", 8006))),
            ("http://192.168.1.10:8006", None),
            ("https://me@pve:8006", None),
            ("https://", None),
        ] {
            let expected = expected.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(server(text), expected, "{text}");
        }
    }
}

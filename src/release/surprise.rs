//! What is valid and probably not meant: words that YAML readers disagree about, keys that compose does not know, variables
//! without a value, networks past the firewall.

use super::{
    code::{UNKNOWN_KEY, UNSEEN_NETWORK, UNSET, YAML_SURPRISE},
    compose::Compose,
    tree::{Kind, Node},
    written::Written,
};
use crate::diagnostic::Diagnostic;

/// Top-level keys of the compose specification; `x-` begins the owner's own.
const KEYS: &[&str] = &[
    "name", "version", "services", "networks", "volumes", "secrets", "configs", "include", "models",
];
/// Plain words that YAML 1.1 takes for true or false and compose takes for themselves.
const WORDS: &[&str] = &["yes", "no", "on", "off", "y", "n"];

/// Looks through one file.
pub(super) fn check(written: &Written<'_>, compose: &Compose) -> Vec<Diagnostic> {
    let Some(root) = written.root() else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for (key, range, _) in root.entries() {
        if !KEYS.contains(&key.as_str()) && !key.starts_with("x-") {
            let problem = Diagnostic::warning(
                UNKNOWN_KEY,
                format!(
                    "`{}`: compose knows no top-level key `{key}`",
                    written.origin()
                ),
            )
            .help(nearest(key));
            out.push(written.label(problem, range, "compose will refuse it"));
        }
    }
    out.extend(words(written, root));
    out.extend(unseen_networks(written, root));
    for name in compose.unset() {
        let problem = Diagnostic::warning(
            UNSET,
            format!(
                "`{}`: `{name}` has no value, so compose fills in nothing",
                written.origin()
            ),
        )
        .help(format!(
            "write `{name}=...` into a file `.env` of the template, or a default: `${{{name}:-...}}`"
        ));
        let at = [format!("${{{name}"), format!("${name}")]
            .iter()
            .find_map(|text| Some((written.text().find(text.as_str())?, text.len())));
        out.push(match at {
            Some((at, length)) => written.label(problem, &(at..at + length), "nothing stands here"),
            None => problem,
        });
    }
    out
}

/// Networks whose containers no firewall of the host is asked about.
fn unseen_networks(written: &Written<'_>, root: &Node) -> Vec<Diagnostic> {
    let networks = root.get("networks").map(Node::entries).unwrap_or_default();
    let mut out = Vec::new();
    for (name, _, network) in networks {
        out.extend(unseen_bridge(written, name, network));
        let Some((_, driver)) = network.entry("driver") else {
            continue;
        };
        if let Kind::Scalar { text, .. } = &driver.kind
            && ["macvlan", "ipvlan"].contains(&text.as_str())
        {
            let problem = Diagnostic::warning(
                UNSEEN_NETWORK,
                format!("network `{name}` is a `{text}`: its containers stand in your network past UFW and Docker's rules"),
            )
            .help("use a bridge network and publish the ports; a Proxmox guest's firewall drops such containers' packets anyway");
            out.push(written.label(problem, &driver.range, "the flow matrix does not hold here"));
        }
    }
    out
}

/// Docker's option for the name of a network's bridge.
const BRIDGE: &str = "com.docker.network.bridge.name";

/// A bridge that nobody can tell from others: the rules know Docker's by their names.
fn unseen_bridge(written: &Written<'_>, name: &str, network: &Node) -> Option<Diagnostic> {
    let bridge = network.get("driver_opts")?.get(BRIDGE)?;
    let Kind::Scalar { text, .. } = &bridge.kind else {
        return None;
    };
    if text == "docker0" || text.starts_with("br-") {
        return None;
    }
    let problem = Diagnostic::warning(
        UNSEEN_NETWORK,
        format!("network `{name}` calls its bridge `{text}`: UFW's and Docker's rules do not know whose it is"),
    )
    .help(format!("call it `br-{text}`, or leave its name to Docker"));
    Some(written.label(problem, &bridge.range, "the flow matrix does not hold here"))
}

/// Words of services only: nobody minds them elsewhere.
fn words(written: &Written<'_>, root: &Node) -> Vec<Diagnostic> {
    let services = root.get("services").map(Node::entries).unwrap_or_default();
    let mut out = Vec::new();
    for (_, _, service) in services {
        for item in service.get("ports").map(Node::items).unwrap_or_default() {
            for (text, range) in item.plain() {
                if let Some(number) = sexagesimal(text) {
                    let problem = Diagnostic::warning(
                        YAML_SURPRISE,
                        format!("`{text}` without quotes is the number {number} to YAML 1.1"),
                    )
                    .help(format!("write `\"{text}\"`"));
                    out.push(written.label(problem, &range, "quote it"));
                }
            }
        }
        for (text, range) in service.plain() {
            if WORDS.contains(&text.to_ascii_lowercase().as_str()) {
                let problem = Diagnostic::warning(
                    YAML_SURPRISE,
                    format!("`{text}` without quotes is a word here, and a boolean to YAML 1.1"),
                )
                .help(format!(
                    "write `\"{text}\"` for the word, or `true` or `false`"
                ));
                out.push(written.label(problem, &range, "quote it"));
            }
        }
    }
    out
}

/// `22:22` is 22 * 60 + 22 to YAML 1.1.
fn sexagesimal(text: &str) -> Option<u64> {
    let (high, low) = text.split_once(':')?;
    let (high, low): (u64, u64) = (high.parse().ok()?, low.parse().ok()?);
    (low < 60 && text.split(':').count() == 2).then_some(high * 60 + low)
}

fn nearest(key: &str) -> String {
    let near = KEYS
        .iter()
        .min_by_key(|known| strsim::levenshtein(known, key))
        .filter(|known| strsim::levenshtein(known, key) <= 2);
    match near {
        Some(known) => format!("did you mean `{known}`?"),
        None => "keys of your own begin with `x-`".to_owned(),
    }
}

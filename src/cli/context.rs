//! What every verb has at hand.

use super::{args::Global, env::Env, exit, failure::Failure};
use crate::providers::ssh::quote_all;
use crate::view::Terminal;
use std::path::PathBuf;

/// Arguments, surroundings and streams.
pub(crate) struct Context {
    pub(crate) global: Global,
    pub(crate) env: Env,
    pub(crate) terminal: Terminal,
    /// What a verb chooses where the person chose nothing: `infra zfs apply` is `infra up` on datasets.
    pub(crate) narrow: Option<String>,
}

impl Context {
    /// The inventory folder: `-i`, else `INFRA_INVENTORY`, else the only one under `inventory/`.
    pub(crate) fn inventory(&self) -> Result<PathBuf, Failure> {
        if let Some(folder) = &self.global.inventory {
            return Ok(folder.clone());
        }
        let mut found: Vec<PathBuf> = std::fs::read_dir("inventory")
            .map(|entries| {
                entries
                    .filter_map(Result::ok)
                    .map(|e| e.path())
                    .filter(|p| p.is_dir())
                    .collect()
            })
            .unwrap_or_default();
        found.sort();
        match found.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(Failure::new(exit::USAGE, "there is no inventory here")
                .hint("Write one: `infra init media-server-home`, or name it: `-i DIR`.")),
            many => {
                let names: Vec<String> =
                    many.iter().map(|path| path.display().to_string()).collect();
                let text = format!("several inventories are here: {}", names.join(", "));
                Err(Failure::new(exit::USAGE, text)
                    .hint("Name one: `-i DIR`, or set INFRA_INVENTORY."))
            }
        }
    }

    /// The same with another inventory folder.
    pub(crate) fn in_folder(&self, folder: &std::path::Path) -> Self {
        Self {
            global: Global {
                inventory: Some(folder.to_owned()),
                ..self.global.clone()
            },
            env: self.env.clone(),
            terminal: self.terminal,
            narrow: self.narrow.clone(),
        }
    }

    /// What a plan is narrowed to.
    pub(crate) fn on(&self) -> Option<&str> {
        self.global.on.as_deref().or(self.narrow.as_deref())
    }

    /// The lab's folder.
    pub(crate) fn lab_folder(&self) -> PathBuf {
        self.global
            .lab_dir
            .clone()
            .unwrap_or_else(|| self.env.state.join("lab"))
    }

    /// The command line to type again, for hints.
    pub(crate) fn again(&self, verb: &str) -> String {
        let mut text = String::from("infra");
        if self.global.lab {
            text.push_str(" --lab");
        }
        if let Some(folder) = &self.global.inventory {
            text = format!("{text} -i {}", folder.display());
        }
        format!("{text} {verb}")
    }

    /// The same, with what was chosen by `--on`.
    pub(crate) fn again_on(&self, verb: &str) -> String {
        on(self.again(verb), self.global.on.as_deref())
    }

    /// The same for a plan in a file, which `infra up` makes anew to compare: narrowed as it was.
    pub(crate) fn again_narrowed(&self, verb: &str) -> String {
        on(self.again(verb), self.on())
    }
}

fn on(command: String, selector: Option<&str>) -> String {
    match selector {
        None => command,
        Some(selector) => format!("{command} --on {}", quote_all([selector])),
    }
}

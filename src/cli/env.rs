//! The environment, read once.

use std::{ffi::OsString, path::PathBuf};

/// Everything that infra takes from its surroundings besides its arguments.
#[derive(Debug, Clone)]
pub(crate) struct Env {
    /// `$HOME`.
    pub(crate) home: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME/infra`.
    pub(crate) config: PathBuf,
    /// `$XDG_STATE_HOME/infra`.
    pub(crate) state: PathBuf,
    /// `$XDG_CACHE_HOME/infra`.
    #[cfg(feature = "lab")]
    pub(crate) cache: PathBuf,
    /// `$NO_COLOR` is set and not empty.
    pub(crate) no_color: bool,
    /// `user@machine`.
    pub(crate) who: String,
    /// `/etc/machine-id`, or the host name where there is none.
    pub(crate) machine: String,
    /// All variables, for secrets that come from one.
    pub(crate) variables: std::collections::BTreeMap<String, String>,
}

impl Env {
    /// Reads it.
    pub(crate) fn read() -> Self {
        let var = |name: &str| -> Option<OsString> {
            std::env::var_os(name).filter(|value| !value.is_empty())
        };
        let home = var("HOME").map(PathBuf::from);
        let base = |name: &str, fallback: &str| {
            let root = var(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
                .or_else(|| home.as_ref().map(|home| home.join(fallback)))
                .unwrap_or_else(|| PathBuf::from("/var/lib"));
            root.join("infra")
        };
        let word = |path: &str| {
            std::fs::read_to_string(path)
                .ok()
                .map(|text| text.trim().to_owned())
        };
        let name = word("/proc/sys/kernel/hostname").unwrap_or_else(|| "machine".to_owned());
        let user = var("USER").or_else(|| var("LOGNAME")).map_or_else(
            || "somebody".to_owned(),
            |user| user.to_string_lossy().into_owned(),
        );
        Self {
            config: base("XDG_CONFIG_HOME", ".config"),
            state: base("XDG_STATE_HOME", ".local/state"),
            #[cfg(feature = "lab")]
            cache: base("XDG_CACHE_HOME", ".cache"),
            home,
            no_color: var("NO_COLOR").is_some(),
            who: format!("{user}@{name}"),
            machine: word("/etc/machine-id")
                .filter(|id| !id.is_empty())
                .unwrap_or(name),
            variables: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
        }
    }

    /// The HTTP proxy of this machine, by the variable that apt and curl follow too.
    #[cfg(feature = "lab")]
    pub(crate) fn proxy(&self) -> Option<String> {
        let proxy = self.variables.get("http_proxy")?;
        (!proxy.is_empty()).then(|| proxy.clone())
    }
}

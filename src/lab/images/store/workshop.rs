//! Where layers are made of Debian packages: real installations, on an overlay, in namespaces of their own.

use super::{
    blobs::Store,
    image::{LayerBlob, architecture},
    reference::Digest,
};
use crate::lab::images::{error::ImagesError, stand_ins::Layer};
use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use std::{
    ffi::OsStr,
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{process::Command, sync::Semaphore};

const SUITE: &str = "trixie";
const DEBIAN: &str = include_str!("scripts/debian.sh");
const LAYER: &str = include_str!("scripts/layer.sh");
/// What no guest needs of any layer.
const WITHOUT: [&str; 19] = [
    "dev/*",
    "proc/*",
    "sys/*",
    "run/*",
    "tmp/*",
    "etc/hostname",
    "etc/resolv.conf",
    "usr/sbin/policy-rc.d",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/lintian",
    "usr/share/bash-completion",
    "var/cache/*",
    "var/lib/apt/lists",
    "var/lib/dpkg/*-old",
    "var/log/*.log",
    "var/log/apt",
];

/// Makes layers. What it made is found again by a key over everything that went into it.
#[derive(Debug)]
pub(super) struct Workshop {
    root: PathBuf,
    store: Store,
    mirror: Option<String>,
    turns: Semaphore,
}

impl Workshop {
    /// A workshop below `root`.
    ///
    /// # Errors
    /// When its folders cannot be made.
    pub(super) fn open(
        root: &Path,
        store: Store,
        mirror: Option<String>,
    ) -> Result<Self, ImagesError> {
        for folder in ["layers", "roots", "work"] {
            let folder = root.join(folder);
            std::fs::create_dir_all(&folder).map_err(ImagesError::cache(&folder))?;
        }
        sweep(&root.join("work"));
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Ok(Self {
            root: root.to_owned(),
            store,
            mirror,
            turns: Semaphore::new(cores.clamp(2, 4)),
        })
    }

    /// The key of a layer that lies on the root with the key `below`.
    pub(super) fn key(&self, layer: &Layer, below: Option<&str>) -> String {
        let words = json!([
            [SUITE, architecture(), self.mirror, below],
            [layer.packages, layer.before, layer.after, layer.without],
            [WITHOUT],
            [if below.is_some() { LAYER } else { DEBIAN }],
        ]);
        Digest::of(words.to_string().as_bytes()).hex()[..32].to_owned()
    }

    /// The layer with this key, when it was made and its blob is still there.
    pub(super) fn made(&self, key: &str) -> Option<LayerBlob> {
        let text = std::fs::read_to_string(self.record(key)).ok()?;
        let record: Value = serde_json::from_str(&text).ok()?;
        let blob = LayerBlob {
            digest: Digest::parse(record.get("digest")?.as_str()?)?,
            size: record.get("size")?.as_u64()?,
        };
        let there = std::fs::metadata(self.store.blob(&blob.digest)).ok()?;
        (there.len() == blob.size).then_some(blob)
    }

    /// Makes the root of all layers, and the layer that carries it.
    ///
    /// # Errors
    /// When mmdebstrap fails.
    pub(super) async fn make_root(
        &self,
        layer: &Layer,
        key: &str,
    ) -> Result<LayerBlob, ImagesError> {
        let _other_processes_wait = self.lock(key).await?;
        let root = self.root.join("roots").join(key);
        if let Some(blob) = self.made(key).filter(|_| root.is_dir()) {
            return Ok(blob);
        }
        let work = self.work()?;
        let (new, tar, without) = Self::places(&work, layer)?;
        let packages = layer.packages.join(",");
        let mirror = self.mirror.as_deref().unwrap_or("");
        let args = [
            new.as_os_str(),
            tar.as_os_str(),
            without.as_os_str(),
            OsStr::new(&layer.after),
            OsStr::new(mirror),
            OsStr::new(SUITE),
            OsStr::new(&packages),
        ];
        let digest = self.run("the root of all images", DEBIAN, &args).await?;
        if root.exists() {
            std::fs::remove_dir_all(&root).map_err(ImagesError::cache(&root))?;
        }
        std::fs::rename(&new, &root).map_err(ImagesError::cache(&root))?;
        self.keep(key, &tar, digest)
    }

    /// Makes a layer on the root with the key `below`.
    ///
    /// # Errors
    /// When the packages cannot be installed.
    pub(super) async fn make_layer(
        &self,
        name: &str,
        layer: &Layer,
        key: &str,
        below: &str,
    ) -> Result<LayerBlob, ImagesError> {
        let _other_processes_wait = self.lock(key).await?;
        if let Some(blob) = self.made(key) {
            return Ok(blob);
        }
        let work = self.work()?;
        let (_, tar, without) = Self::places(&work, layer)?;
        let root = self.root.join("roots").join(below);
        let mut args = vec![
            root.as_os_str(),
            work.path().as_os_str(),
            tar.as_os_str(),
            without.as_os_str(),
            OsStr::new(&layer.before),
            OsStr::new(&layer.after),
        ];
        args.extend(layer.packages.iter().map(OsStr::new));
        let digest = self.run(&format!("the layer {name}"), LAYER, &args).await?;
        self.keep(key, &tar, digest)
    }

    /// Runs a script in namespaces of its own, so that its mounts and its processes end with it.
    async fn run(&self, what: &str, script: &str, args: &[&OsStr]) -> Result<Digest, ImagesError> {
        let _turn = self.turns.acquire().await.expect("never closed");
        let failed = |complaint: String| ImagesError::Build {
            what: what.to_owned(),
            complaint,
        };
        let output = Command::new("unshare")
            .args([
                "--mount",
                "--propagation",
                "private",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
            ])
            .args(["sh", "-c", script, "infra-lab-image"])
            .args(args)
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("TMPDIR", self.root.join("work"))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| failed(error.to_string()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        match Digest::parse(&format!("sha256:{}", text.trim())) {
            Some(digest) if output.status.success() => Ok(digest),
            Some(_) | None => Err(failed(last_lines(&output.stderr))),
        }
    }

    fn keep(&self, key: &str, tar: &Path, digest: Digest) -> Result<LayerBlob, ImagesError> {
        let size = std::fs::metadata(tar)
            .map_err(ImagesError::cache(tar))?
            .len();
        self.store.take(tar, &digest)?;
        let record = json!({"digest": digest.to_string(), "size": size});
        let path = self.record(key);
        std::fs::write(&path, record.to_string()).map_err(ImagesError::cache(&path))?;
        Ok(LayerBlob { digest, size })
    }

    fn record(&self, key: &str) -> PathBuf {
        self.root.join("layers").join(format!("{key}.json"))
    }

    fn work(&self) -> Result<tempfile::TempDir, ImagesError> {
        let folder = self.root.join("work");
        tempfile::Builder::new()
            .prefix(&format!("{}-", std::process::id()))
            .tempdir_in(&folder)
            .map_err(ImagesError::cache(&folder))
    }

    /// Inside a scratch folder: the new root, the tar, and the written list of what stays out.
    fn places(
        work: &tempfile::TempDir,
        layer: &Layer,
    ) -> Result<(PathBuf, PathBuf, PathBuf), ImagesError> {
        let place = |name: &str| work.path().join(name);
        let own = layer.without.iter().map(String::as_str);
        let text = WITHOUT
            .into_iter()
            .chain(own)
            .fold(String::new(), |text, pattern| text + "./" + pattern + "\n");
        let without = place("without");
        std::fs::write(&without, text).map_err(ImagesError::cache(&without))?;
        Ok((place("root"), place("layer.tar"), without))
    }

    /// Waits until no other process makes the same layer.
    async fn lock(&self, key: &str) -> Result<File, ImagesError> {
        let path = self.root.join("layers").join(format!("{key}.lock"));
        let file = File::create(&path).map_err(ImagesError::cache(&path))?;
        let locked = tokio::task::spawn_blocking(move || {
            flock(&file, FlockOperation::LockExclusive).map(|()| file)
        });
        match locked.await {
            Ok(Ok(file)) => Ok(file),
            Ok(Err(error)) => Err(ImagesError::cache(&path)(error.into())),
            Err(error) => Err(ImagesError::cache(&path)(std::io::Error::other(error))),
        }
    }
}

/// The end of what a failed build wrote.
fn last_lines(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// Removes what killed processes left half done. Names begin with the process that writes them.
fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.split('-').next());
        let is_alive = owner.is_some_and(|pid| Path::new("/proc").join(pid).exists());
        if !is_alive {
            let _another_lab_was_faster = std::fs::remove_dir_all(entry.path());
        }
    }
}

//! The mirrors, their cache, and the downloads under way.

use super::{
    Upstreams,
    download::{Download, Progress, save, told},
    slot::Slot,
};
use crate::lab::images::error::ImagesError;
use axum::http::{HeaderMap, Method};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};
use tempfile::NamedTempFile;
use tokio::{sync::watch, time::Instant};

/// A mirror that does not accept a connection within this time is taken for unreachable.
const CONNECT: Duration = Duration::from_secs(5);
/// A mirror that sends nothing for this long has broken off.
const SILENCE: Duration = Duration::from_secs(30);
/// An unreachable mirror is not asked again for this long, so that offline an `apt update` does not wait for every file.
const DOWN: Duration = Duration::from_secs(15);

/// The mirrors that guests may reach, with the cache in front of them.
#[derive(Debug)]
pub struct Mirrors {
    cache: PathBuf,
    client: reqwest::Client,
    upstreams: RwLock<Upstreams>,
    running: Mutex<BTreeMap<PathBuf, Download>>,
    down: Mutex<BTreeMap<String, (Instant, String)>>,
}

impl Mirrors {
    /// Mirrors with their cache in `cache`, reached directly or through an HTTP `proxy` of this machine.
    ///
    /// # Errors
    /// When the cache cannot be made, or the proxy's URL is none.
    pub fn new(
        cache: &Path,
        upstreams: Upstreams,
        proxy: Option<&str>,
    ) -> Result<Arc<Self>, ImagesError> {
        let partial = cache.join(".partial");
        std::fs::create_dir_all(&partial).map_err(ImagesError::cache(&partial))?;
        sweep(&partial);
        // Plain HTTP only: what comes over it is verified by apt against Debian's keys, so no certificate is trusted.
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::ring::default_provider(),
        ))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
        let mut client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(reqwest::redirect::Policy::limited(5))
            .user_agent("infra-lab");
        if let Some(proxy) = proxy {
            client = client.proxy(reqwest::Proxy::http(proxy)?);
        }
        Ok(Arc::new(Self {
            cache: cache.to_owned(),
            client: client.build()?,
            upstreams: RwLock::new(upstreams),
            running: Mutex::default(),
            down: Mutex::default(),
        }))
    }

    /// Adds mirrors, those of a base image that was built since.
    pub fn learn(&self, more: Upstreams) {
        self.upstreams
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(more);
    }

    /// The hosts that are known.
    pub fn known(&self) -> Vec<String> {
        let upstreams = self
            .upstreams
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        upstreams.keys().cloned().collect()
    }

    pub(super) fn slot(&self, host: &str, path: &str) -> Option<Slot> {
        Slot::new(&self.cache, host, path)
    }

    /// Asks the mirror itself. Only `headers` that a cache understands go along.
    ///
    /// # Errors
    /// Why the mirror cannot be reached.
    pub(super) async fn ask(
        &self,
        method: Method,
        slot: &Slot,
        headers: &HeaderMap,
    ) -> Result<reqwest::Response, String> {
        let origin = {
            let upstreams = self
                .upstreams
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            upstreams.get(&slot.host).cloned().unwrap_or_default()
        };
        if let Some((since, why)) = lock(&self.down).get(&slot.host)
            && since.elapsed() < DOWN
        {
            return Err(why.clone());
        }
        let asked = self
            .client
            .request(method, format!("{origin}{}", slot.path))
            .header("host", &slot.host)
            .headers(headers.clone())
            .send()
            .await;
        match asked {
            Ok(response) => {
                lock(&self.down).remove(&slot.host);
                Ok(response)
            }
            Err(error) => {
                let why = told(&error);
                lock(&self.down).insert(slot.host.clone(), (Instant::now(), why.clone()));
                Err(why)
            }
        }
    }

    /// The download of a slot: the one under way, or a new one. It goes on when nobody follows any more, since the next
    /// guest wants the same file.
    ///
    /// # Errors
    /// When the cache cannot take it.
    pub(super) fn download(self: &Arc<Self>, slot: &Slot) -> std::io::Result<Download> {
        let mut running = lock(&self.running);
        if let Some(download) = running.get(&slot.file) {
            return Ok(download.clone());
        }
        if let Ok(there) = slot.file.metadata() {
            let (_, progress) = watch::channel(Progress::Whole { size: there.len() });
            let partial = slot.file.clone();
            return Ok(Download { partial, progress });
        }
        let partial = tempfile::Builder::new()
            .prefix(&format!("{}-", std::process::id()))
            .tempfile_in(self.cache.join(".partial"))?;
        let (tell, progress) = watch::channel(Progress::Asking);
        let download = Download {
            partial: partial.path().to_owned(),
            progress,
        };
        running.insert(slot.file.clone(), download.clone());
        drop(running);
        let (mirrors, slot) = (Arc::clone(self), slot.clone());
        tokio::spawn(async move {
            let end = mirrors.bring(&slot, partial, &tell).await;
            // Removed first: whoever comes after the end looks into the cache, or tries again.
            lock(&mirrors.running).remove(&slot.file);
            tell.send_replace(end);
        });
        Ok(download)
    }

    async fn bring(
        &self,
        slot: &Slot,
        partial: NamedTempFile,
        tell: &watch::Sender<Progress>,
    ) -> Progress {
        match self.ask(Method::GET, slot, &HeaderMap::new()).await {
            Err(why) => Progress::Failed(why),
            Ok(response) if response.status().as_u16() != 200 => {
                Progress::Refused(response.status().as_u16())
            }
            Ok(response) => match save(response, slot, partial, tell).await {
                Ok(size) => Progress::Whole { size },
                Err(why) => Progress::Failed(why),
            },
        }
    }

    /// Keeps the newest copy of an index for days without a network.
    ///
    /// # Errors
    /// When the cache cannot take it.
    pub(super) async fn keep(&self, slot: &Slot, bytes: &[u8]) -> std::io::Result<()> {
        let folder = slot.file.parent().unwrap_or(&self.cache);
        tokio::fs::create_dir_all(folder).await?;
        let partial = tempfile::Builder::new()
            .prefix(&format!("{}-", std::process::id()))
            .tempfile_in(self.cache.join(".partial"))?;
        std::io::Write::write_all(&mut partial.as_file(), bytes)?;
        partial.persist(&slot.file)?;
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what killed processes left half done. Names begin with the process that writes them.
fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.split('-').next());
        let is_alive = owner.is_some_and(|pid| Path::new("/proc").join(pid).exists());
        if !is_alive {
            let _gone_already = std::fs::remove_file(entry.path());
        }
    }
}

//! Files that come in: downloads and uploads; and files that go.

use super::bench::Bench;
use crate::lab::api::{copy, disk_folder};
use std::{fs, path::PathBuf};

impl Bench<'_> {
    pub(super) async fn download(
        &self,
        storage: &str,
        volid: &str,
        url: &str,
        checksum: Option<(String, String)>,
    ) -> Result<(), String> {
        let name = volid.split_once(':').map_or(volid, |(_, name)| name);
        let (shown, free) = self.world.look(|model| {
            (
                model.storages.path_of(volid),
                model.storages.available(storage, &model.shelf),
            )
        });
        self.log([format!("downloading {url} to {shown}")]);
        let folder = self
            .world
            .folder(self.node(), storage)
            .ok_or_else(|| format!("storage '{storage}' has no folder in the lab"))?;
        let target = disk_folder::place(&folder, name)
            .map_err(|why| format!("unable to create directory: {why}"))?;
        if target.exists() {
            return Err(format!("refusing to override existing file '{shown}'"));
        }
        let host = url.split('/').nth(2).unwrap_or_default();
        self.log([
            format!("--{}--  {url}", self.now()),
            format!("Connecting to {host}... connected."),
        ]);
        let Some(image) = self.world.config().catalogue.get(url) else {
            self.log([
                "HTTP request sent, awaiting response... 404 Not Found".to_owned(),
                format!("{} ERROR 404: Not Found.", self.now()),
            ]);
            return Err("download failed: exit code 8".to_owned());
        };
        let size = fs::metadata(&image.file)
            .map_err(|why| format!("download failed: {why}"))?
            .len();
        let partial = format!("{shown}.tmp_dwnl.{}", std::process::id());
        self.log([
            "HTTP request sent, awaiting response... 200 OK".to_owned(),
            format!("Length: {size} [application/octet-stream]"),
            format!("Saving to: '{partial}'"),
        ]);
        if size > free {
            self.log([format!("{partial}: No space left on device")]);
            return Err("download failed: exit code 3".to_owned());
        }
        self.take(1.0).await;
        self.log([format!(
            "{} - '{partial}' saved [{size}/{size}]",
            self.now()
        )]);
        if let Some((algorithm, expected)) = checksum {
            self.log(["calculating checksum...".to_owned()]);
            let got = match &image.sha256 {
                Some(known) if algorithm == "sha256" => Some(known.clone()),
                _ => copy::checksum(image.file.clone(), algorithm.clone())
                    .await
                    .map_err(|why| why.to_string())?,
            };
            let got = got.ok_or_else(|| {
                format!("checksum algorithm '{algorithm}' is not modelled by the lab")
            })?;
            if !got.eq_ignore_ascii_case(&expected) {
                return Err(format!(
                    "checksum mismatch: got '{got}' != expect '{expected}'"
                ));
            }
        }
        copy::copy(image.file.clone(), target)
            .await
            .map_err(|why| format!("download failed: {why}"))?;
        self.log([format!("download of '{url}' to '{shown}' finished")]);
        Ok(())
    }

    pub(super) async fn import(
        &self,
        volid: &str,
        upload: PathBuf,
        checksum: Option<(String, String)>,
    ) -> Result<(), String> {
        let result = self.take_in(volid, &upload, checksum).await;
        let _ = fs::remove_file(&upload);
        result
    }

    async fn take_in(
        &self,
        volid: &str,
        upload: &std::path::Path,
        checksum: Option<(String, String)>,
    ) -> Result<(), String> {
        let (storage, name) = volid.split_once(':').unwrap_or((volid, ""));
        let (shown, free) = self.world.look(|model| {
            (
                model.storages.path_of(volid),
                model.storages.available(storage, &model.shelf),
            )
        });
        let size = fs::metadata(upload).map_err(|why| why.to_string())?.len();
        let node = self.node();
        let temporary = format!(
            "/var/tmp/{}",
            upload.file_name().unwrap_or_default().to_string_lossy()
        );
        self.log([
            format!("starting file import from: {temporary}"),
            format!("target node: {node}"),
            format!("target file: {shown}"),
            format!("file size is: {size}"),
        ]);
        self.take(0.3).await;
        if let Some((algorithm, expected)) = checksum {
            let got = copy::checksum(upload.to_owned(), algorithm.clone())
                .await
                .map_err(|why| why.to_string())?;
            let got = got.ok_or_else(|| {
                format!("checksum algorithm '{algorithm}' is not modelled by the lab")
            })?;
            if !got.eq_ignore_ascii_case(&expected) {
                return Err(format!(
                    "checksum mismatch: got '{got}' != expect '{expected}'"
                ));
            }
        }
        self.log([format!("command: cp -- {temporary} {shown}")]);
        if size > free {
            return Err("import failed: No space left on device".to_owned());
        }
        let folder = self
            .world
            .folder(self.node(), storage)
            .ok_or_else(|| format!("storage '{storage}' has no folder in the lab"))?;
        let target =
            disk_folder::place(&folder, name).map_err(|why| format!("import failed: {why}"))?;
        // A target that shares its content with another file must not change under it.
        let _ = fs::remove_file(&target);
        fs::copy(upload, &target).map_err(|why| format!("import failed: {why}"))?;
        self.log(["finished file import successfully".to_owned()]);
        Ok(())
    }

    pub(super) async fn delete_volume(&self, volid: &str) -> Result<(), String> {
        self.take(0.2).await;
        self.world.refresh();
        let file = self.world.look(|model| {
            model
                .shelved(self.node(), volid)
                .map(|shelved| shelved.file.clone())
        });
        if let Some(file) = file {
            fs::remove_file(&file).map_err(|why| why.to_string())?;
            self.log([format!("Removed volume '{volid}'")]);
            return Ok(());
        }
        let gone = self
            .world
            .change(|model| model.storages.volumes.remove(volid));
        if gone.is_none() {
            return Err(format!(
                "unlink '{}' failed - No such file or directory",
                self.world.look(|model| model.storages.path_of(volid))
            ));
        }
        self.log([format!("Removed volume '{volid}'")]);
        Ok(())
    }
}

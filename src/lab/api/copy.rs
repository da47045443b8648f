//! Copying files in and taking their checksums, off the async threads.

use super::model::digest::hex;
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

/// Copies a file without reading it twice; a hard link where the folders allow one.
pub(crate) async fn copy(from: PathBuf, to: PathBuf) -> io::Result<()> {
    run(move || {
        if fs::hard_link(&from, &to).is_ok() {
            return Ok(());
        }
        fs::copy(&from, &to).map(|_| ())
    })
    .await
}

/// Checksum of a file in hex; none for an algorithm that the lab does not know.
pub(crate) async fn checksum(path: PathBuf, algorithm: String) -> io::Result<Option<String>> {
    run(move || match algorithm.as_str() {
        "sha1" => digest::<Sha1>(&path).map(Some),
        "sha224" => digest::<Sha224>(&path).map(Some),
        "sha256" => digest::<Sha256>(&path).map(Some),
        "sha384" => digest::<Sha384>(&path).map(Some),
        "sha512" => digest::<Sha512>(&path).map(Some),
        _ => Ok(None),
    })
    .await
}

fn digest<D: Summing>(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut sum = D::begin();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(sum.hex());
        }
        sum.add(&buffer[..count]);
    }
}

/// The two crates' digests, whose traits are of different generations, as one.
trait Summing {
    fn begin() -> Self;
    fn add(&mut self, bytes: &[u8]);
    fn hex(self) -> String;
}

macro_rules! summing {
    ($($digest:ty: $crate_name:ident),*) => {$(
        impl Summing for $digest {
            fn begin() -> Self {
                <Self as $crate_name::Digest>::new()
            }
            fn add(&mut self, bytes: &[u8]) {
                $crate_name::Digest::update(self, bytes);
            }
            fn hex(self) -> String {
                hex(&$crate_name::Digest::finalize(self))
            }
        }
    )*};
}

summing!(Sha1: sha1, Sha224: sha2, Sha256: sha2, Sha384: sha2, Sha512: sha2);

async fn run<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

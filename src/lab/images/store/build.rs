//! Builds what is asked for and not there: Debian packages into layers, stand-ins into images.

use super::{
    blobs::Store,
    image::{LayerBlob, config, manifest, own_layer},
    reference::{Digest, Reference},
    workshop::Workshop,
};
use crate::lab::images::{
    error::ImagesError,
    stand_ins::{Catalogue, ROOT, StandIn, catalogue},
};
use futures_util::{StreamExt, future::try_join_all, stream};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// Images under way at once. The workshop itself limits what really runs; this only bounds the waiting.
const ASKED_TOGETHER: usize = 16;

/// What became of one reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prepared {
    /// It can be pulled.
    Ready(Digest),
    /// The lab has nothing for it: a pull fails as if the public registry did not have it.
    Absent,
}

/// Images by reference, built when they are asked for.
#[derive(Debug)]
pub struct Builder {
    store: Store,
    workshop: Workshop,
    catalogue: Catalogue,
    ca: Option<String>,
    running: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Builder {
    /// Images below `root`, from packages of `mirror`, or of this machine's default mirror.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn new(root: &Path, mirror: Option<String>) -> Result<Self, ImagesError> {
        let store = Store::open(root)?;
        Ok(Self {
            workshop: Workshop::open(root, store.clone(), mirror)?,
            store,
            catalogue: catalogue(),
            ca: None,
            running: Mutex::default(),
        })
    }

    /// Its images believe this authority (PEM) and no other.
    #[must_use]
    pub fn trusting(self, ca: &str) -> Self {
        Self {
            ca: Some(ca.to_owned()),
            ..self
        }
    }

    /// Where the blobs are.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Builds every image that is not there yet, several at a time, and tells each one as it is done.
    ///
    /// # Errors
    /// The first build that fails; what was built stays.
    pub async fn prepare(
        &self,
        references: impl IntoIterator<Item = Reference>,
        mut done: impl FnMut(&Reference, &Prepared),
    ) -> Result<(), ImagesError> {
        let mut builds = stream::iter(references)
            .map(|reference| async move {
                let image = self.image(&reference).await;
                (reference, image)
            })
            .buffer_unordered(ASKED_TOGETHER);
        while let Some((reference, image)) = builds.next().await {
            done(
                &reference,
                &image?.map_or(Prepared::Absent, Prepared::Ready),
            );
        }
        Ok(())
    }

    /// The manifest of an image, built if need be; `None` when the lab has no stand-in for it, or not with this tag.
    ///
    /// # Errors
    /// When the build fails.
    pub async fn image(&self, reference: &Reference) -> Result<Option<Digest>, ImagesError> {
        if reference.digest.is_some() {
            return Ok(self.store.manifest(reference));
        }
        let Some((_, stand_in)) = self.catalogue.find(&reference.name()) else {
            // Somebody may have put it there: a test, or a person.
            return Ok(self.store.manifest(reference));
        };
        if !stand_in.images[&reference.name()].contains(&reference.tag) {
            return Ok(self.store.manifest(reference));
        }
        let mut layers = vec![self.layer(ROOT).await?];
        let others = stand_in.layers.iter().map(|name| self.layer(name));
        layers.extend(try_join_all(others).await?);
        layers.push(self.own(stand_in)?);
        let config = config(stand_in, reference, &layers);
        self.store.put(&config)?;
        let digest = self.store.put(&manifest(&config, &layers))?;
        self.store.tag(reference, &digest)?;
        Ok(Some(digest))
    }

    fn own(&self, stand_in: &StandIn) -> Result<LayerBlob, ImagesError> {
        let tar = own_layer(stand_in, self.ca.as_deref()).expect("a test archives every stand-in");
        Ok(LayerBlob {
            digest: self.store.put(&tar)?,
            size: tar.len() as u64,
        })
    }

    async fn layer(&self, name: &str) -> Result<LayerBlob, ImagesError> {
        let layer = &self.catalogue.layers[name];
        let below = (name != ROOT).then(|| self.workshop.key(&self.catalogue.layers[ROOT], None));
        let key = self.workshop.key(layer, below.as_deref());
        if let Some(blob) = self.workshop.made(&key) {
            return Ok(blob);
        }
        let turn = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(running.entry(key.clone()).or_default())
        };
        let _one_at_a_time = turn.lock().await;
        match below {
            None => self.workshop.make_root(layer, &key).await,
            Some(below) => self.workshop.make_layer(name, layer, &key, &below).await,
        }
    }
}

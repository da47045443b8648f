//! The disk: finds and reads the files of an inventory, its templates and its CA file.

use super::{
    check, codes,
    document::{Document, Manifest, Tls},
    error::LoadError,
    image_lock::{IMAGE_LOCK, ImageLock},
    merge,
    reader::{Reader, Sink},
    resolve::{self, Folder, Folders, MANIFEST, Scope},
    source::Sources,
    tree,
    written::At,
};
use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::model::desired::Desired;
use serde::Deserialize;
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Folder of templates, beside `inventory/` or inside one system.
const TEMPLATES: &str = "templates";
/// The list of container images among the templates.
const IMAGES: &str = "images.yaml";

/// Template files that come with the program: path below `templates/` -> text.
pub type BuiltinTemplates = BTreeMap<String, String>;

/// What loading found.
#[derive(Debug)]
pub struct Loaded {
    /// The whole, when nothing is wrong with it. Warnings do not prevent it.
    pub desired: Option<Desired>,
    /// Every problem, sorted by place.
    pub diagnostics: Vec<Diagnostic>,
    /// The files, for the lines that problems point at.
    pub sources: Vec<Source>,
    /// The folder that relative paths of the inventory start from.
    pub folder: PathBuf,
}

impl Loaded {
    /// Whether anything is wrong that must be solved first.
    pub fn has_errors(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|d| d.severity == Severity::Error)
    }
}

/// Loads an inventory: a folder with YAML files, or one YAML file.
///
/// Templates are looked for in `templates/` inside the folder, then beside the folder `inventory/` that holds it, then
/// among the built-in ones.
///
/// # Errors
/// Only when a file cannot be read; everything that is wrong with what was read is a diagnostic.
pub fn load(
    path: &Path,
    today: jiff::civil::Date,
    builtin: &BuiltinTemplates,
) -> Result<Loaded, LoadError> {
    let is_file = path.is_file();
    let folder = if is_file {
        parent(path)
    } else {
        path.to_owned()
    };
    let mut sources = Sources::default();
    let mut out = Vec::new();
    let mut roots = Vec::new();
    // A file without a tree takes everything it names with it.
    let mut is_torn = false;
    let files = if is_file {
        vec![path.to_owned()]
    } else {
        yaml_files(path)?
    };
    for file in &files {
        let name = file
            .strip_prefix(&folder)
            .unwrap_or(file)
            .to_string_lossy()
            .into_owned();
        let index = sources.add(&name, &read(file)?);
        let before = out.len();
        let root = tree::parse(index, &sources, &mut out);
        is_torn |= root.is_none() && out.len() > before;
        roots.extend(root);
    }
    if files.is_empty() {
        return Err(LoadError::Empty { folder });
    }
    let root = merge::merge(roots, &sources, &mut out);
    let Some(root) = root else {
        if out.is_empty() {
            out.push(
                Diagnostic::error(codes::MISSING_KEY, "the inventory is empty")
                    .help("`infra init` writes one"),
            );
        }
        return Ok(finish(None, out, sources, folder));
    };
    let document = {
        let sink = Sink {
            sources: &sources,
            out: RefCell::new(Vec::new()),
        };
        let document = At::<Document>::deserialize(Reader::root(&root, &sink));
        out.append(&mut sink.out.into_inner());
        document.ok().and_then(|at| at.value)
    };
    if is_torn {
        // What is missing may stand in the file that could not be read: saying so a hundred times hides the one mistake.
        let top = sources.place(root.mark);
        out.retain(|d| d.code != codes::MISSING_KEY || d.labels.iter().all(|l| l.place != top));
        return Ok(finish(None, out, sources, folder));
    }
    let Some(document) = document else {
        return Ok(finish(None, out, sources, folder));
    };
    let ca = ca(&document, &folder, &sources, &mut out)?;
    certificates(&document, &folder, &sources, &mut out);
    let folders = folders(&document, &folder, builtin, &mut sources, &mut out)?;
    let lock = image_lock(&folder, &mut out)?;
    let mut scope = Scope::new(&sources, today, ca);
    scope.out = out;
    let desired = resolve::resolve(&document, &folders, &lock, &mut scope);
    if let Some(desired) = &desired
        && !scope.has_errors()
    {
        check::check(desired, &mut scope);
    }
    let out = std::mem::take(&mut scope.out);
    Ok(finish(desired, out, sources, folder))
}

/// The pins of images, none when there is no file.
fn image_lock(folder: &Path, out: &mut Vec<Diagnostic>) -> Result<ImageLock, LoadError> {
    let path = folder.join(IMAGE_LOCK);
    if !path.exists() {
        return Ok(ImageLock::default());
    }
    match ImageLock::parse(&read(&path)?) {
        Ok(lock) => Ok(lock),
        Err(why) => {
            let text = format!("`{IMAGE_LOCK}` cannot be read: {why}");
            let help = "`infra images refresh` writes it anew once the file is removed";
            out.push(Diagnostic::error(codes::SYNTAX, text).help(help));
            Ok(ImageLock::default())
        }
    }
}

fn finish(
    desired: Option<Desired>,
    mut diagnostics: Vec<Diagnostic>,
    sources: Sources,
    folder: PathBuf,
) -> Loaded {
    diagnostics.sort_by(|a, b| {
        let place = |d: &Diagnostic| {
            d.labels
                .first()
                .map(|l| (l.place.file.to_string(), l.place.offset))
        };
        place(a).cmp(&place(b)).then(a.code.cmp(&b.code))
    });
    diagnostics.dedup();
    let mut loaded = Loaded {
        desired,
        diagnostics,
        sources: sources.into_vec(),
        folder,
    };
    if loaded.has_errors() {
        loaded.desired = None;
    }
    loaded
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The YAML files below a folder, templates left out, in the order of their names.
fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let mut out = Vec::new();
    for path in entries(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            if name != TEMPLATES && name != "playbooks" {
                out.extend(yaml_files(&path)?);
            }
        } else if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
            out.push(path);
        }
    }
    Ok(out)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let failed = |source| LoadError::List {
        folder: folder.to_owned(),
        source,
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn read(file: &Path) -> Result<String, LoadError> {
    std::fs::read_to_string(file).map_err(|source| LoadError::Read {
        file: file.to_owned(),
        source,
    })
}

/// The CA file that the document names.
fn ca(
    document: &Document,
    folder: &Path,
    sources: &Sources,
    out: &mut Vec<Diagnostic>,
) -> Result<Option<String>, LoadError> {
    let tls = document
        .proxmox
        .as_ref()
        .and_then(|at| at.value.as_ref()?.tls.value.as_ref());
    let Some(Tls::Ca(at)) = tls else {
        return Ok(None);
    };
    let Some(name) = &at.value else {
        return Ok(None);
    };
    let file = folder.join(name);
    if file.is_file() {
        return read(&file).map(Some);
    }
    out.push(
        Diagnostic::error(codes::UNKNOWN_FILE, format!("there is no file `{name}`"))
            .at(&sources.place(at.span), "no such file")
            .help("the path is relative to the inventory; `/etc/pve/pve-root-ca.pem` on a node is the CA of a cluster"),
    );
    Ok(None)
}

/// The CA files by which those who are told are believed: there, and nothing more is asked here.
fn certificates(document: &Document, folder: &Path, sources: &Sources, out: &mut Vec<Diagnostic>) {
    let nights = document.nights.as_ref().and_then(|at| at.value.as_ref());
    let targets = nights.and_then(|nights| nights.notify.as_ref()?.value.as_ref());
    for (_, target) in targets.into_iter().flat_map(|entries| &entries.0) {
        let named = target.value.as_ref().and_then(|target| target.ca.as_ref());
        let Some((at, name)) = named.and_then(|at| Some((at, at.value.as_ref()?))) else {
            continue;
        };
        if !folder.join(name).is_file() {
            out.push(
                Diagnostic::error(codes::UNKNOWN_FILE, format!("there is no file `{name}`"))
                    .at(&sources.place(at.span), "no such file")
                    .help("the path is relative to the inventory; `infra init` puts the CA of your proxy there"),
            );
        }
    }
}

/// Reads the template folders that stacks refer to, with their manifests.
fn folders(
    document: &Document,
    folder: &Path,
    builtin: &BuiltinTemplates,
    sources: &mut Sources,
    out: &mut Vec<Diagnostic>,
) -> Result<Folders, LoadError> {
    let places = [folder.join(TEMPLATES), folder.join("../..").join(TEMPLATES)];
    let mut found = Folders {
        names: names(&places, builtin)?,
        ..Folders::default()
    };
    let stacks = document
        .stacks
        .iter()
        .filter_map(|at| at.value.as_ref())
        .flat_map(|s| &s.0);
    let wanted: BTreeSet<String> = stacks
        .filter_map(|(key, at)| {
            let template = at.value.as_ref()?.template.as_ref().unwrap_or(key);
            template.value.clone()
        })
        .filter(|name| found.names.contains(name))
        .collect();
    for name in wanted {
        let mut files = BTreeMap::new();
        for (path, text) in template_files(&places, builtin, &name)? {
            files.insert(
                path.clone(),
                sources.add(&format!("{TEMPLATES}/{name}/{path}"), &text),
            );
        }
        let manifest = files
            .get(MANIFEST)
            .and_then(|file| manifest(*file, sources, out));
        found.read.insert(name, Folder { files, manifest });
    }
    found.images = images(&places, builtin, sources, out)?;
    Ok(found)
}

fn manifest(file: u32, sources: &Sources, out: &mut Vec<Diagnostic>) -> Option<At<Manifest>> {
    let root = tree::parse(file, sources, out)?;
    let sink = Sink {
        sources,
        out: RefCell::new(Vec::new()),
    };
    let manifest = At::<Manifest>::deserialize(Reader::root(&root, &sink)).ok();
    out.append(&mut sink.out.into_inner());
    manifest
}

fn images(
    places: &[PathBuf],
    builtin: &BuiltinTemplates,
    sources: &mut Sources,
    out: &mut Vec<Diagnostic>,
) -> Result<BTreeMap<String, String>, LoadError> {
    let on_disk = places
        .iter()
        .map(|place| place.join(IMAGES))
        .find(|file| file.is_file());
    let text = match on_disk {
        Some(file) => read(&file)?,
        None => match builtin.get(IMAGES) {
            Some(text) => text.clone(),
            None => return Ok(BTreeMap::new()),
        },
    };
    let file = sources.add(&format!("{TEMPLATES}/{IMAGES}"), &text);
    let Some(root) = tree::parse(file, sources, out) else {
        return Ok(BTreeMap::new());
    };
    let sink = Sink {
        sources,
        out: RefCell::new(Vec::new()),
    };
    let read = At::<super::written::Entries<String>>::deserialize(Reader::root(&root, &sink));
    out.append(&mut sink.out.into_inner());
    let entries = read
        .ok()
        .and_then(|at| at.value)
        .map(|entries| entries.0)
        .unwrap_or_default();
    Ok(entries
        .into_iter()
        .filter_map(|(key, value)| Some((key.value?, value.value?)))
        .collect())
}

/// The names of all template folders.
fn names(places: &[PathBuf], builtin: &BuiltinTemplates) -> Result<Vec<String>, LoadError> {
    let mut names: BTreeSet<String> = builtin
        .keys()
        .filter_map(|path| path.split_once('/'))
        .map(|(name, _)| name.to_owned())
        .collect();
    for place in places.iter().filter(|place| place.is_dir()) {
        for path in entries(place)? {
            if path.is_dir() {
                names.extend(
                    path.file_name()
                        .map(|name| name.to_string_lossy().into_owned()),
                );
            }
        }
    }
    Ok(names.into_iter().collect())
}

/// The files of one folder: path inside it -> text. The first place that has the folder wins, whole.
fn template_files(
    places: &[PathBuf],
    builtin: &BuiltinTemplates,
    name: &str,
) -> Result<BTreeMap<String, String>, LoadError> {
    let mut out = BTreeMap::new();
    for place in places {
        let folder = place.join(name);
        if folder.is_dir() {
            below(&folder, &folder, &mut out)?;
            return Ok(out);
        }
    }
    let prefix = format!("{name}/");
    for (path, text) in builtin {
        if let Some(path) = path.strip_prefix(&prefix) {
            out.insert(path.to_owned(), text.clone());
        }
    }
    Ok(out)
}

fn below(root: &Path, folder: &Path, out: &mut BTreeMap<String, String>) -> Result<(), LoadError> {
    for path in entries(folder)? {
        if path.is_dir() {
            below(root, &path, out)?;
        } else {
            let name = path
                .strip_prefix(root)
                .unwrap_or(&path)
                .to_string_lossy()
                .into_owned();
            out.insert(name, read(&path)?);
        }
    }
    Ok(())
}

//! Compose stacks: a template folder, a host, values.

use super::{
    Folder, Folders, Noun, Scope, directory,
    names::{entries, items},
    network::Services,
    stack_guard, storage,
    template::{COMPOSE, MANIFEST},
};
use crate::inventory::{
    codes,
    document::{self, Document, File, FullPublish, Manifest},
    image_lock::ImageLock,
    nearest::{did_you_mean, listed},
    source::Span,
    written::{At, Short},
};
use crate::model::{
    address::{Port, Proto},
    desired::Desired,
    ids::{HostName, ServiceName, StackName},
    stack::{Publish, Stack, StackFile},
};
use std::{collections::BTreeMap, net::IpAddr};

/// Seconds that services without a healthcheck must stay up, unless the manifest says otherwise.
const SETTLE_SECONDS: u32 = 10;
/// Seconds until a stack must be healthy, unless the manifest says otherwise.
const TIMEOUT_SECONDS: u32 = 180;
/// Permission bits of a file that the manifest does not mention.
const FILE_MODE: u32 = 0o644;

/// All stacks by name. What they publish becomes services.
pub(super) fn stacks(
    document: &Document,
    folders: &Folders,
    desired: &Desired,
    lock: &ImageLock,
    services: &mut Services,
    scope: &mut Scope<'_>,
) -> BTreeMap<StackName, Stack> {
    let digests = lock.digests();
    let mut out = BTreeMap::new();
    let mut taken = Taken::default();
    for (key, raw) in entries(&document.stacks) {
        let name = scope.own_name::<StackName>(key);
        let Some(raw) = &raw.value else { continue };
        let on: Option<HostName> = scope.refer(Noun::Host, &raw.on);
        let needs: Vec<StackName> = items(&raw.needs)
            .iter()
            .filter_map(|at| scope.refer(Noun::Stack, at))
            .collect();
        let template = raw.template.as_ref().unwrap_or(key);
        let Some(folder) = folder(template, folders, scope) else {
            continue;
        };
        let (Some(name), Some(on)) = (name, on) else {
            continue;
        };
        let Some(manifest) = folder.manifest.as_ref().and_then(|at| at.value.as_ref()) else {
            continue;
        };
        if manifest
            .description
            .value
            .as_ref()
            .is_some_and(|text| text.trim().is_empty())
        {
            scope
                .error(codes::EMPTY, "the description of a template is empty")
                .at(manifest.description.span, "what is it?");
        }
        let writer = Writer {
            key,
            raw,
            manifest,
            on: &on,
            desired,
        };
        let publish = writer.publish(services, &mut taken, scope);
        let mounts = writer.mounts(scope);
        let backup = super::stack_backup::backup(manifest, &mounts, scope);
        let template = template.value.clone().unwrap_or_default();
        out.insert(
            name.clone(),
            Stack {
                name,
                files: files(&template, folder, manifest, scope),
                template,
                variables: writer.variables(scope),
                images: folders.images.clone(),
                digests: digests.clone(),
                needs_mounts: writer.needs_mounts(&mounts),
                guarded: writer.guarded(scope),
                mounts,
                publish,
                needs,
                directories: items(&manifest.directories)
                    .iter()
                    .filter_map(|at| directory::of_stack(at, scope))
                    .collect(),
                data: items(&manifest.data)
                    .iter()
                    .filter_map(|at| directory::of_data(at, scope))
                    .collect(),
                settle_seconds: scope
                    .parse_may(&manifest.settle)
                    .map_or(SETTLE_SECONDS, |s| s.0),
                timeout_seconds: scope
                    .parse_may(&manifest.timeout)
                    .map_or(TIMEOUT_SECONDS, |s| s.0),
                waivers: storage::reasons(&raw.waivers, scope),
                backup,
                on,
            },
        );
    }
    stack_guard::check(&document.stacks, &out, scope);
    out
}

/// The template's folder, complete enough to be used.
fn folder<'a>(
    template: &At<String>,
    folders: &'a Folders,
    scope: &mut Scope<'_>,
) -> Option<&'a Folder> {
    let name = template.value.as_deref()?;
    let Some(folder) = folders.get(name) else {
        let help =
            did_you_mean(name, folders.names.iter().map(String::as_str)).unwrap_or_else(|| {
                if folders.names.is_empty() {
                    "there is no `templates/` folder beside the inventory".to_owned()
                } else {
                    format!("there is {}", listed(&folders.names))
                }
            });
        scope
            .error(
                codes::UNKNOWN_TEMPLATE,
                format!("there is no template folder `{name}`"),
            )
            .at(template.span, "unknown template")
            .help(help);
        return None;
    };
    for file in [COMPOSE, MANIFEST] {
        if !folder.files.contains_key(file) {
            scope
                .error(
                    codes::TEMPLATE_INCOMPLETE,
                    format!("the template folder `{name}` has no `{file}`"),
                )
                .at(template.span, "this template")
                .help(format!("add `templates/{name}/{file}`"));
            return None;
        }
    }
    Some(folder)
}

fn files(
    template: &str,
    folder: &Folder,
    manifest: &Manifest,
    scope: &mut Scope<'_>,
) -> Vec<StackFile> {
    let said = entries(&manifest.files);
    for (key, _) in said {
        let Some(path) = key.value.as_deref() else {
            continue;
        };
        if !folder.files.contains_key(path) {
            let help =
                did_you_mean(path, folder.files.keys().map(String::as_str)).unwrap_or_else(|| {
                    format!(
                        "the folder has {}",
                        listed(&folder.files.keys().collect::<Vec<_>>())
                    )
                });
            scope
                .error(
                    codes::MANIFEST_FILE,
                    format!("the folder has no file `{path}`"),
                )
                .at(key.span, "no such file")
                .help(help);
        }
    }
    let mut out = Vec::new();
    for (path, file) in &folder.files {
        if path == MANIFEST {
            continue;
        }
        let special: Option<&File> = said
            .iter()
            .find(|(key, _)| key.value.as_ref() == Some(path))
            .and_then(|(_, at)| at.value.as_ref());
        let mode = special
            .and_then(|file| scope.parse_may(&file.mode))
            .map_or(FILE_MODE, |mode| mode.0);
        let owner = special
            .and_then(|file| scope.parse_may(&file.owner))
            .map_or((0, 0), |owner| (owner.0, owner.1));
        out.push(StackFile {
            path: path.clone(),
            text: scope.sources.text(*file).to_string(),
            raw: special
                .and_then(|file| file.raw.as_ref())
                .and_then(|at| at.value)
                .unwrap_or(false),
            mode,
            owner,
            origin: format!("templates/{template}/{path}"),
        });
    }
    out
}

/// Host ports that are spoken for.
#[derive(Default)]
struct Taken(Vec<(HostName, Port, Option<IpAddr>, String, Span)>);

pub(super) struct Writer<'a> {
    pub(super) key: &'a At<String>,
    pub(super) raw: &'a document::Stack,
    pub(super) manifest: &'a Manifest,
    pub(super) on: &'a HostName,
    pub(super) desired: &'a Desired,
}

impl Writer<'_> {
    fn stack(&self) -> &str {
        self.key.value.as_deref().unwrap_or_default()
    }

    fn variables(&self, scope: &mut Scope<'_>) -> BTreeMap<String, serde_json::Value> {
        let known = entries(&self.manifest.variables);
        let given = entries(&self.raw.variables);
        let mut out = BTreeMap::new();
        for (key, value) in given {
            let Some(name) = &key.value else { continue };
            if !known
                .iter()
                .any(|(own, _)| own.value.as_ref() == Some(name))
            {
                let names: Vec<&str> = known
                    .iter()
                    .filter_map(|(key, _)| key.value.as_deref())
                    .collect();
                let help = did_you_mean(name, names.iter().copied())
                    .unwrap_or_else(|| format!("the template has {}", listed(&names)));
                scope
                    .error(
                        codes::UNKNOWN_VARIABLE,
                        format!("the template has no variable `{name}`"),
                    )
                    .at(key.span, "unknown variable")
                    .help(help);
            } else if let Some(value) = &value.value {
                out.insert(name.clone(), value.clone());
            }
        }
        for (key, variable) in known {
            let (Some(name), Some(variable)) = (&key.value, &variable.value) else {
                continue;
            };
            if out.contains_key(name)
                || given
                    .iter()
                    .any(|(own, _)| own.value.as_ref() == Some(name))
            {
                continue;
            }
            if let Some(value) = variable.default.as_ref().and_then(|at| at.value.clone()) {
                out.insert(name.clone(), value);
            } else {
                let description = variable.description.value.clone().unwrap_or_default();
                scope
                    .error(
                        codes::VARIABLE_WITHOUT_VALUE,
                        format!("the variable `{name}` has no value"),
                    )
                    .at(self.key.span, "this stack must give one")
                    .at(key.span, "the template has no default for it")
                    .help(format!("add `{name}` under `variables:` ({description})"));
            }
        }
        out
    }

    fn publish(
        &self,
        services: &mut Services,
        taken: &mut Taken,
        scope: &mut Scope<'_>,
    ) -> Vec<Publish> {
        let known = entries(&self.manifest.publish);
        let given = entries(&self.raw.publish);
        for (key, _) in given {
            let Some(name) = &key.value else { continue };
            if !known
                .iter()
                .any(|(own, _)| own.value.as_ref() == Some(name))
            {
                let names: Vec<&str> = known
                    .iter()
                    .filter_map(|(key, _)| key.value.as_deref())
                    .collect();
                let help = did_you_mean(name, names.iter().copied())
                    .unwrap_or_else(|| format!("the template publishes {}", listed(&names)));
                scope
                    .error(
                        codes::UNKNOWN_SERVICE,
                        format!("the template publishes no service `{name}`"),
                    )
                    .at(key.span, "unknown service")
                    .help(help);
            }
        }
        let mut out = Vec::new();
        for (key, own) in known {
            let Some(service) = scope.own_name::<ServiceName>(key) else {
                continue;
            };
            let changed = given
                .iter()
                .find(|(given, _)| given.value.as_deref() == Some(service.as_str()));
            let (port, address, span) = match changed {
                Some((given, at)) => {
                    let (port, address) = over(at, scope);
                    (port, address, given.span)
                }
                None => (scope.parse(own), None, self.key.span),
            };
            let Some(port) = port else { continue };
            if let Some(address) = address
                && !address.is_loopback()
                && !address.is_unspecified()
                && !self.desired.addresses(self.on).contains(&address)
            {
                scope
                    .error(
                        codes::OUTSIDE_ZONE,
                        format!("{address} is not an address of `{}`", self.on),
                    )
                    .at(span, "cannot listen there");
            }
            let written = if changed.is_some() { span } else { key.span };
            services.publish(&service, port, written, scope);
            scope.add(Noun::Service, service.to_string(), written);
            self.take(port, address, span, taken, scope);
            scope.mark(format!("publish {} {service}", self.stack()), self.key.span);
            out.push(Publish {
                service,
                port,
                address,
            });
        }
        out
    }

    fn take(
        &self,
        port: Port,
        address: Option<IpAddr>,
        span: Span,
        taken: &mut Taken,
        scope: &mut Scope<'_>,
    ) {
        let clash = taken.0.iter().find(|(host, other, at, ..)| {
            host == self.on
                && other.proto == port.proto
                && other.range.overlaps(port.range)
                && (address.is_none() || at.is_none() || address == *at)
        });
        if let Some((host, other, _, stack, first)) = clash {
            let (host, other, stack, first) = (host.clone(), *other, stack.clone(), *first);
            scope
                .error(
                    codes::PORT_CONFLICT,
                    format!("two services want port {port} on `{host}`"),
                )
                .at(span, format!("stack `{}`", self.stack()))
                .at(first, format!("{other} is taken by stack `{stack}`"))
                .help("move one of them with `publish: {SERVICE: PORT/tcp}` in its stack");
        }
        let sshd = self.desired.access(self.on).map(|(_, ssh)| ssh.port);
        let is_local = address.is_some_and(|address| address.is_loopback());
        if let Some(sshd) = sshd
            && port.proto == Proto::Tcp
            && port.range.contains(sshd)
            && !is_local
        {
            scope
                .error(
                    codes::PORT_CONFLICT,
                    format!("port {port} on `{}` is that of its SSH server", self.on),
                )
                .at(span, format!("stack `{}`", self.stack()))
                .help("publish another one with `publish: {SERVICE: PORT/tcp}`: infra itself comes in there");
        }
        taken.0.push((
            self.on.clone(),
            port,
            address,
            self.stack().to_owned(),
            span,
        ));
    }
}

fn over(at: &At<Short<FullPublish>>, scope: &mut Scope<'_>) -> (Option<Port>, Option<IpAddr>) {
    match &at.value {
        None => (None, None),
        Some(Short::Word(word)) => match word.parse::<Port>() {
            Ok(port) => (Some(port), None),
            Err(error) => {
                scope
                    .error(codes::INVALID_PORT, error.to_string())
                    .at(at.span, "not a valid port");
                (None, None)
            }
        },
        Some(Short::Full(full)) => (
            scope.parse(&full.port),
            scope.parse_may(&full.address).map(|address| address.0),
        ),
    }
}

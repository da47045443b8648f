//! Stacks: the files of the release that runs, and its containers.

use crate::model::{
    facts::{ContainerFact, HostFacts},
    release::Release,
};
use crate::plan::{
    change::{Field, Impact, Operation},
    draft::{Draft, Proposal, id},
};

/// The paths whose facts show whether a release is in place.
pub(in crate::plan) fn paths(release: &Release) -> Vec<String> {
    let mut out = vec![release.current(), release.unit.path()];
    out.extend(
        release
            .files
            .iter()
            .map(|file| format!("{}/{}", release.path(), file.path)),
    );
    out.extend(release.data.iter().map(|own| release.data_path(&own.path)));
    out.extend(
        release
            .directories
            .iter()
            .map(|directory| directory.path.clone()),
    );
    out
}

/// Compares one stack.
pub(super) fn diff(draft: &mut Draft, release: &Release, facts: &HostFacts) {
    draft.saw(&release.host);
    let mine: Vec<&ContainerFact> = facts
        .docker
        .iter()
        .flat_map(|docker| &docker.containers)
        .filter(|container| container.project == release.stack.as_str())
        .collect();
    let current = facts
        .paths
        .get(&release.current())
        .and_then(Option::as_ref)
        .and_then(|fact| fact.target.as_deref())
        .and_then(|target| target.rsplit('/').next());
    let mut fields = Vec::new();
    if current == Some(release.id.as_str()) {
        files(release, facts, &mut fields);
        unit(release, facts, &mut fields);
        if facts.docker.is_some() {
            containers(release, &mine, &mut fields);
        } else {
            fields.push(Field::new(
                "containers",
                Some("Docker does not run"),
                Some("running"),
            ));
        }
    } else {
        fields.push(Field::new("release", current, Some(&release.id)));
        if current.is_some() {
            touched(release, &mine, &mut fields);
            for guarded in &release.guarded {
                fields.push(Field::new(
                    &format!("snapshot of {}", guarded.dataset),
                    None,
                    Some("first; its files go back if the release fails"),
                ));
            }
        }
    }
    for container in &mine {
        let is_ours = container.system.as_deref() == Some(release.system.as_str());
        let is_wanted = release
            .services
            .iter()
            .any(|service| service.name == container.service);
        // One that infra did not make is not infra's to remove.
        if is_ours && !is_wanted {
            fields.push(Field::new(
                &format!("container {}", container.name),
                Some("not in the compose file"),
                None,
            ));
        }
    }
    if fields.is_empty() {
        return;
    }
    let proposal = if current.is_none() {
        Proposal::create(match release.images.len() {
            1 => "1 image".to_owned(),
            many => format!("{many} images"),
        })
    } else {
        Proposal::update("differs from the inventory").impact(Impact::Restart)
    };
    let mut needs: Vec<String> = release
        .needs
        .iter()
        .map(|stack| format!("*: stack {stack}"))
        .collect();
    needs.push(id(&release.host, "ufw"));
    draft.propose(
        &release.host,
        &format!("stack {}", release.stack),
        proposal.fields(fields).after(needs),
        Operation::DeployStack(Box::new(release.clone())),
    );
}

/// Which services another release touches; the others go on as they are.
fn touched(release: &Release, mine: &[&ContainerFact], fields: &mut Vec<Field>) {
    for service in &release.services {
        let own = mine
            .iter()
            .find(|container| container.service == service.name);
        let name = format!("service {}", service.name);
        match own {
            None => fields.push(Field::new(&name, None, Some("made"))),
            Some(own) if own.image != service.image => {
                fields.push(Field::new(&name, Some(&own.image), Some(&service.image)));
            }
            Some(own) if own.release.as_deref() != Some(service.release.as_str()) => {
                fields.push(Field::new(&name, Some("runs"), Some("made anew")));
            }
            Some(_) => {}
        }
    }
}

fn files(release: &Release, facts: &HostFacts, fields: &mut Vec<Field>) {
    for file in &release.files {
        let path = format!("{}/{}", release.path(), file.path);
        let Some(seen) = facts.paths.get(&path).and_then(Option::as_ref) else {
            fields.push(Field::new(
                &format!("file {}", file.path),
                None,
                Some("present"),
            ));
            continue;
        };
        if seen.sha256.as_deref() != Some(file.sha256.as_str()) {
            fields.push(Field::new(
                &format!("file {}", file.path),
                Some("edited"),
                Some("as in the inventory"),
            ));
        }
        if (seen.uid, seen.gid, seen.mode) != (file.uid, file.gid, file.mode) {
            let show = |uid: u32, gid: u32, mode: u32| format!("{uid}:{gid} {mode:04o}");
            fields.push(Field::new(
                &format!("file {} owner and mode", file.path),
                Some(&show(seen.uid, seen.gid, seen.mode)),
                Some(&show(file.uid, file.gid, file.mode)),
            ));
        }
    }
    for data in &release.data {
        let path = release.data_path(&data.path);
        let seen = facts.paths.get(&path).and_then(Option::as_ref);
        if seen.is_none() {
            fields.push(Field::new(&path, None, Some("directory")));
        }
    }
    for directory in &release.directories {
        let seen = facts.paths.get(&directory.path).and_then(Option::as_ref);
        // Containers may change the mode of their own data; what must hold is that the directory is there.
        if seen.is_none_or(|seen| seen.kind != "directory") {
            fields.push(Field::new(&directory.path, None, Some("directory")));
        }
    }
}

/// What starts the stack at boot: without it, or with another order, a power cut leaves the stack down.
fn unit(release: &Release, facts: &HostFacts, fields: &mut Vec<Field>) {
    let name = format!("unit {}", release.unit.name);
    let seen = facts.paths.get(&release.unit.path());
    match seen.and_then(Option::as_ref) {
        None => fields.push(Field::new(&name, None, Some("present"))),
        Some(seen) if seen.sha256.as_deref() != Some(release.unit.sha256.as_str()) => {
            fields.push(Field::new(
                &name,
                Some("edited"),
                Some("as in the inventory"),
            ));
        }
        Some(_) => {
            let at_boot = facts.units.get(&release.unit.name);
            let at_boot = at_boot.map_or("", |unit| unit.enabled.as_str());
            if at_boot != "enabled" {
                let field = Field::new(&format!("{name} at boot"), Some(at_boot), Some("enabled"));
                fields.push(field);
            }
        }
    }
}

fn containers(release: &Release, mine: &[&ContainerFact], fields: &mut Vec<Field>) {
    for service in &release.services {
        let name = format!("service {}", service.name);
        let Some(container) = mine
            .iter()
            .find(|container| container.service == service.name)
        else {
            fields.push(Field::new(&name, Some("no container"), Some("running")));
            continue;
        };
        if container.release.as_deref() != Some(service.release.as_str()) {
            fields.push(Field::new(
                &format!("{name} release"),
                container.release.as_deref(),
                Some(&service.release),
            ));
        }
        if container.image != service.image {
            fields.push(Field::new(
                &format!("{name} image"),
                Some(&container.image),
                Some(&service.image),
            ));
        }
        let parent = service.shares_network_of.as_ref();
        let parent = parent.and_then(|of| mine.iter().find(|other| other.service == *of));
        if container.state == "running" && parent.is_some_and(|of| started(of) > started(container))
        {
            fields.push(Field::new(
                &format!("{name} network"),
                Some("gone: the container it belongs to was started after it"),
                Some("joined"),
            ));
        }
        let ended_well =
            service.one_shot && container.state == "exited" && container.exit_code == 0;
        if container.state != "running" && !ended_well {
            fields.push(Field::new(
                &format!("{name} state"),
                Some(&container.state),
                Some("running"),
            ));
        } else if container.health == "unhealthy" {
            fields.push(Field::new(
                &format!("{name} health"),
                Some("unhealthy"),
                Some("healthy"),
            ));
        }
    }
}

/// Docker cuts the zeros off the end of a second's fraction, and of a whole second the point as well.
fn started(container: &ContainerFact) -> &str {
    container.started_at.trim_end_matches('Z')
}

//! Drifts of stacks.

use crate::world::{NOTHING, System, drift, facts};
use infra::model::{
    facts::{ContainerFact, DockerFacts, PathFact, UnitFact},
    observed::Observed,
    release::Release,
};

fn path<'a>(seen: &'a mut Observed, on: &str, path: &str) -> &'a mut PathFact {
    let paths = &mut facts(seen, on).paths;
    paths.get_mut(path).and_then(Option::as_mut).expect("there")
}

fn unit<'a>(seen: &'a mut Observed, on: &str, name: &str) -> &'a mut UnitFact {
    facts(seen, on).units.get_mut(name).expect("there")
}

fn docker<'a>(seen: &'a mut Observed, on: &str) -> &'a mut DockerFacts {
    facts(seen, on).docker.as_mut().expect("running")
}

fn container<'a>(seen: &'a mut Observed, on: &str, service: &str) -> &'a mut ContainerFact {
    let mut all = docker(seen, on).containers.iter_mut();
    all.find(|c| c.service == service).expect("there")
}

fn release<'a>(system: &'a System, stack: &str) -> &'a Release {
    let mut all = system.releases.values();
    all.find(|r| r.stack.as_str() == stack).expect("a stack")
}

fn release_path(system: &System, stack: &str, file: &str) -> String {
    format!("{}/{file}", release(system, stack).path())
}

fn release_file<'a>(
    system: &System,
    seen: &'a mut Observed,
    stack: &str,
    file: &str,
) -> &'a mut PathFact {
    let on = release(system, stack).host.to_string();
    path(seen, &on, &release_path(system, stack, file))
}

fn secret_file(system: &System, stack: &str) -> String {
    let mut files = release(system, stack).files.iter();
    let found = files.find(|file| file.content.has_secrets());
    found.expect("a file with a secret").path.clone()
}

#[test]
fn an_edited_compose_file_is_put_back() {
    let said = drift(|system, seen| {
        release_file(system, seen, "jellyfin", "compose.yaml").sha256 = Some("0".repeat(64));
    });
    assert_eq!(
        said,
        ["~ intranet: stack jellyfin [restarts] file compose.yaml: edited -> as in the inventory"]
    );
}

#[test]
fn a_deleted_release_file_is_put_back() {
    let said = drift(|system, seen| {
        let at = release_path(system, "jellyfin", "compose.yaml");
        facts(seen, "intranet").paths.insert(at, None);
    });
    assert_eq!(
        said,
        ["~ intranet: stack jellyfin [restarts] file compose.yaml: nothing -> present"]
    );
}

#[test]
fn a_secret_file_that_others_may_read_gets_its_mode_back() {
    let said = drift(|system, seen| {
        let file = secret_file(system, "immich");
        release_file(system, seen, "immich", &file).mode = 0o644;
    });
    assert_eq!(
        said,
        [
            "~ intranet: stack immich [restarts] file secrets/db_password owner and mode: 999:999 0644 -> 999:999 0400"
        ]
    );
}

#[test]
fn a_stopped_container_is_started() {
    let said = drift(|_, seen| {
        container(seen, "intranet", "jellyfin").state = "exited".to_owned();
    });
    assert_eq!(
        said,
        ["~ intranet: stack jellyfin [restarts] service jellyfin state: exited -> running"]
    );
}

#[test]
fn a_paused_container_runs_again() {
    let said = drift(|_, seen| {
        container(seen, "intranet", "jellyfin").state = "paused".to_owned();
    });
    assert_eq!(
        said,
        ["~ intranet: stack jellyfin [restarts] service jellyfin state: paused -> running"]
    );
}

#[test]
fn a_container_in_the_network_of_another_is_made_anew_when_that_one_was_restarted() {
    let at = |parent: &str, child: &str| {
        drift(|system, seen| {
            let mut releases = system.releases.values_mut();
            let immich = releases.find(|r| r.stack.as_str() == "immich");
            let mut services = immich.expect("there").services.iter_mut();
            let server = services.find(|service| service.name == "immich-server");
            server.expect("there").shares_network_of = Some("redis".to_owned());
            parent.clone_into(&mut container(seen, "intranet", "redis").started_at);
            child.clone_into(&mut container(seen, "intranet", "immich-server").started_at);
        })
    };
    let (before, after) = ("2026-11-30T10:00:00Z", "2026-11-30T10:00:00.5Z");
    assert_eq!(at(before, after), NOTHING);
    assert_eq!(
        at(after, before),
        [
            "~ intranet: stack immich [restarts] service immich-server network: gone: the container it belongs to was started after it -> joined"
        ]
    );
}

#[test]
fn a_removed_container_is_made_again() {
    let said = drift(|_, seen| {
        docker(seen, "intranet")
            .containers
            .retain(|c| c.service != "jellyfin");
    });
    assert_eq!(
        said,
        ["~ intranet: stack jellyfin [restarts] service jellyfin: no container -> running"]
    );
}

#[test]
fn a_container_of_another_image_is_made_again() {
    let said = drift(|_, seen| {
        container(seen, "intranet", "jellyfin").image =
            "docker.io/jellyfin/jellyfin:latest".to_owned();
    });
    assert_eq!(
        said,
        [
            "~ intranet: stack jellyfin [restarts] service jellyfin image: docker.io/jellyfin/jellyfin:latest -> docker.io/jellyfin/jellyfin:10.10.7"
        ]
    );
}

#[test]
fn a_container_of_another_release_is_made_again() {
    let said = drift(|_, seen| {
        container(seen, "intranet", "jellyfin").release = Some("foreign".to_owned());
    });
    assert_eq!(
        said,
        [
            "~ intranet: stack jellyfin [restarts] service jellyfin release: foreign -> b9b03576a7c44def"
        ]
    );
}

#[test]
fn a_container_made_by_hand_is_taken_over() {
    let said = drift(|_, seen| {
        container(seen, "intranet", "jellyfin").release = None;
    });
    assert_eq!(
        said,
        [
            "~ intranet: stack jellyfin [restarts] service jellyfin release: nothing -> b9b03576a7c44def"
        ]
    );
}

#[test]
fn an_unhealthy_container_is_repaired() {
    let said = drift(|_, seen| {
        let container = container(seen, "intranet", "jellyfin");
        container.health = "unhealthy".to_owned();
    });
    assert_eq!(
        said,
        ["~ intranet: stack jellyfin [restarts] service jellyfin health: unhealthy -> healthy"]
    );
}

#[test]
fn a_container_that_starts_is_given_time() {
    let said = drift(|_, seen| {
        let container = container(seen, "intranet", "jellyfin");
        container.health = "starting".to_owned();
    });
    assert_eq!(said, NOTHING);
}

#[test]
fn a_service_that_left_the_compose_file_is_removed() {
    let said = drift(|_, seen| {
        let mut extra = container(seen, "intranet", "jellyfin").clone();
        extra.name = "jellyfin-old-1".to_owned();
        extra.service = "old".to_owned();
        docker(seen, "intranet").containers.push(extra);
    });
    assert_eq!(
        said,
        [
            "~ intranet: stack jellyfin [restarts] container jellyfin-old-1: not in the compose file -> nothing"
        ]
    );
}

#[test]
fn a_container_of_no_stack_of_ours_is_left_alone() {
    let said = drift(|_, seen| {
        let mut extra = container(seen, "intranet", "jellyfin").clone();
        extra.project = "mine".to_owned();
        docker(seen, "intranet").containers.push(extra);
    });
    assert_eq!(said, NOTHING);
}

#[test]
fn another_release_that_runs_is_replaced() {
    let said = drift(|system, seen| {
        let at = release(system, "jellyfin").current();
        path(seen, "intranet", &at).target = Some("releases/0123456789abcdef".to_owned());
    });
    assert_eq!(
        said,
        ["~ intranet: stack jellyfin [restarts] release: 0123456789abcdef -> 0b1df1d8be639a09"]
    );
}

#[test]
fn a_stack_that_never_ran_is_deployed() {
    let said = drift(|system, seen| {
        let at = release(system, "jellyfin").current();
        facts(seen, "intranet").paths.insert(at, None);
        docker(seen, "intranet")
            .containers
            .retain(|c| c.project != "jellyfin");
    });
    assert_eq!(
        said,
        ["+ intranet: stack jellyfin [hot] release: nothing -> 0b1df1d8be639a09"]
    );
}

#[test]
fn an_edited_unit_of_a_stack_is_put_back() {
    let said = drift(|system, seen| {
        let at = release(system, "jellyfin").unit.path();
        path(seen, "intranet", &at).sha256 = Some("0".repeat(64));
    });
    assert_eq!(
        said,
        [
            "~ intranet: stack jellyfin [restarts] unit infra-stack-jellyfin.service: edited -> as in the inventory"
        ]
    );
}

#[test]
fn a_directory_of_a_stack_that_is_gone_is_made_again() {
    let said = drift(|system, seen| {
        let at = release(system, "immich").directories[0].path.clone();
        facts(seen, "intranet").paths.insert(at, None);
    });
    assert_eq!(
        said,
        ["~ intranet: stack immich [restarts] /mnt/tank/photos/immich: nothing -> directory"]
    );
}

#[test]
fn a_stopped_docker_is_started_before_the_stacks() {
    let said = drift(|_, seen| {
        facts(seen, "extranet").docker = None;
        unit(seen, "extranet", "docker.service").active = "inactive".to_owned();
    });
    assert_eq!(
        said,
        [
            "~ extranet: unit docker.service [hot] state: inactive -> active",
            "~ extranet: docker firewall chain [hot] live rules: nothing -> as in the inventory",
            "~ extranet: stack node-exporter [restarts] containers: Docker does not run -> running",
            "~ extranet: stack openvpn [restarts] containers: Docker does not run -> running",
            "~ extranet: stack proxy [restarts] containers: Docker does not run -> running"
        ]
    );
}

#[test]
fn a_disabled_unit_of_a_stack_is_enabled() {
    let said = drift(|system, seen| {
        let name = release(system, "jellyfin").unit.name.clone();
        unit(seen, "intranet", &name).enabled = "disabled".to_owned();
    });
    assert_eq!(
        said,
        [
            "~ intranet: stack jellyfin [restarts] unit infra-stack-jellyfin.service at boot: disabled -> enabled"
        ]
    );
}

#[test]
fn a_deleted_unit_of_a_stack_is_written() {
    let said = drift(|system, seen| {
        let at = release(system, "jellyfin").unit.path();
        facts(seen, "intranet").paths.insert(at, None);
    });
    assert_eq!(
        said,
        [
            "~ intranet: stack jellyfin [restarts] unit infra-stack-jellyfin.service: nothing -> present"
        ]
    );
}

//! One run against live machines: secrets, API client, shells, the lab's substitutes.

use super::{
    context::Context,
    env::Env,
    exit,
    failure::Failure,
    system::{self, System},
};
use crate::apply::{World, guard::GuardPolicy, host_keys::HostKeys};
use crate::diagnostic::Diagnostic;
use crate::inventory::{IMAGE_LOCK, codes};
use crate::model::{
    backup::BackupJob,
    desired::{ApiAuth, Desired},
    ids::HostName,
    observed::Observed,
    resource::Resource,
    secret::SecretValues,
};
use crate::observe::{Eyes, observe};
use crate::plan::{Compiled, Inputs, Plan, compile, plan, questions};
use crate::providers::{
    proxmox::{Client, ClientOptions},
    ssh::{Fleet, FleetOptions, Person, SshHost},
};
use crate::secrets::{self, Identities, Surroundings};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// A change that nobody has confirmed for this long is taken back by the machine itself.
pub(crate) const GUARD_SECONDS: u32 = 45;

/// Everything that a verb needs to look and to write.
pub(crate) struct Session {
    pub(crate) desired: Desired,
    pub(crate) compiled: Compiled,
    pub(crate) world: World<Client>,
    pub(crate) hosts: BTreeMap<HostName, SshHost>,
    /// The `images.lock` of this environment.
    pub(crate) images_lock: PathBuf,
    /// Journal, receipts, lock.
    pub(crate) state: PathBuf,
    pub(crate) lab: bool,
    /// What the owner still has to fill in before a real run.
    pub(crate) unready: Vec<String>,
    /// Why no check can be asked from this machine; none when it can.
    pub(crate) nobody_here: Option<String>,
}

/// The lab that `--lab` means, read before anything uses the network.
#[cfg(feature = "lab")]
pub(crate) type Lab = crate::lab::state::LabState;
/// Without the feature there is no lab.
#[cfg(not(feature = "lab"))]
pub(crate) enum Lab {}

/// Opens a session: nothing is sent yet.
pub(crate) fn open(
    context: &Context,
    system: System,
    lab: Option<&Lab>,
) -> Result<Session, Failure> {
    let System {
        folder,
        mut desired,
        ref diagnostics,
        ..
    } = system;
    let unready = unready(diagnostics);
    let mut fleet = FleetOptions {
        known_hosts: folder.join("known_hosts"),
        person: person(&context.env),
        identity: None,
        addresses: BTreeMap::new(),
    };
    let mut state = context.env.state.join(desired.system.as_str());
    let mut images_lock = folder.join(IMAGE_LOCK);
    let mut options = ClientOptions::default();
    let mut pause = Duration::from_millis(500);
    let mut substitutes = super::substitute::Substitutes::default();
    if let Some(lab) = lab {
        substitutes = super::substitute::into(&mut desired, lab, &mut fleet)?;
        state = super::substitute::runs(lab).join(desired.system.as_str());
        images_lock = state.join(IMAGE_LOCK);
        super::substitute::digests(&mut desired, &images_lock)?;
        let clock = super::substitute::clock(lab);
        options = options.scaled(clock);
        pause = Duration::from_millis(200).min(pause.mul_f64(clock.max(0.1)));
    }
    let needed: Vec<_> = needed(&desired)
        .into_iter()
        .filter(|name| !substitutes.secrets.iter().any(|(given, _)| given == name))
        .collect();
    let surroundings = Surroundings {
        folder: &folder,
        variables: &context.env.variables,
        identities: Identities::read(&key_files(context)),
    };
    let mut values =
        secrets::resolve(&desired.secrets, &needed, &surroundings).map_err(|errors| {
            let mut failure = Failure::new(exit::INVALID, "some secrets have no value");
            for error in &errors {
                failure = failure.because(super::failure::failed(error).text());
            }
            failure.hint("Nothing was touched. `secrets.yaml` says where each secret comes from; fill in what is missing and run it again.")
        })?;
    for (name, value) in substitutes.secrets {
        values.insert(name, value);
    }
    let (compiled, diagnostics) = compile(&desired, &values);
    if system::has_errors(&diagnostics) {
        system::show(context, &diagnostics, &system.sources);
        return Err(Failure::said(exit::INVALID));
    }
    let mut api = desired.proxmox.clone();
    if let (Some(api), Some(endpoint)) = (&mut api, substitutes.api) {
        api.host = endpoint.ip().to_string();
        api.port = endpoint.port();
    }
    let proxmox = match &api {
        Some(api) => Some(
            Client::connect(api, &values, options)
                .map_err(|error| super::failure::failed(&error))?,
        ),
        None => None,
    };
    let fleet = Fleet::new(&desired, &fleet);
    let hosts = fleet
        .hosts()
        .map(|(name, host)| (name.clone(), host.clone()))
        .collect();
    let secrets_again = values.clone();
    Ok(Session {
        unready,
        compiled,
        hosts,
        images_lock,
        lab: lab.is_some(),
        nobody_here: substitutes.nobody_here,
        world: World {
            proxmox,
            fleet,
            secrets: values,
            folder: folder.clone(),
            host_keys: HostKeys::below(&state),
            pause,
            guard: GuardPolicy::EachStep {
                seconds: GUARD_SECONDS,
                token: format!("{:032x}", rand::random::<u128>()),
            },
            reconnect: Box::new(move || {
                api.as_ref()
                    .and_then(|api| Client::connect(api, &secrets_again, options).ok())
            }),
        },
        desired,
        state,
    })
}

/// Warnings that a real run does not pass over.
fn unready(diagnostics: &[Diagnostic]) -> Vec<String> {
    let stops = [
        codes::PLACEHOLDER,
        codes::NO_AUTHORIZED_KEYS,
        codes::UNPINNED_IMAGE,
    ];
    diagnostics
        .iter()
        .filter(|found| stops.contains(&found.code))
        .map(|found| {
            let place = found.labels.first().map(|label| &label.place);
            let place = place.map(|at| format!(" ({}:{})", at.file, at.line));
            let help = found.help.as_ref().map(|help| format!(": {help}"));
            format!(
                "{}{}{}.",
                found.summary,
                place.unwrap_or_default(),
                help.unwrap_or_default()
            )
        })
        .collect()
}

/// Outside the lab, SSH is set up as its operator has it: his keys, his agent, his `~/.ssh/config`.
pub(super) fn person(env: &Env) -> Person {
    Person {
        config: true,
        home: env.home.clone(),
        agent: env
            .variables
            .get("SSH_AUTH_SOCK")
            .filter(|socket| !socket.is_empty())
            .map(PathBuf::from),
    }
}

/// Where the operator's age keys may be: infra's own file, and the ones that SOPS knows.
pub(crate) fn key_files(context: &Context) -> Vec<PathBuf> {
    let named = ["INFRA_AGE_KEY_FILE", "SOPS_AGE_KEY_FILE"];
    let named = named
        .iter()
        .filter_map(|name| context.env.variables.get(*name))
        .map(PathBuf::from);
    let own = context.env.config.join("age.txt");
    let of_sops = context
        .env
        .config
        .with_file_name("sops")
        .join("age/keys.txt");
    named.chain([own, of_sops]).collect()
}

/// The secrets that this run fills in somewhere: the API's, those of the templates and of the hosts' own files.
fn needed(desired: &Desired) -> Vec<crate::model::ids::SecretName> {
    let (compiled, _) = compile(desired, &SecretValues::default());
    let mut names: Vec<_> = compiled
        .releases
        .values()
        .flat_map(|release| &release.files)
        .flat_map(|file| file.content.secrets().cloned())
        .collect();
    let resources = compiled.resources.values().flatten();
    let files = resources.filter_map(|resource| match resource {
        Resource::File(file) => Some(&file.content),
        Resource::Package(_)
        | Resource::Directory { .. }
        | Resource::NoFile { .. }
        | Resource::Unit { .. }
        | Resource::Filesystem(_)
        | Resource::Sysctl { .. }
        | Resource::NftTable { .. } => None,
    });
    names.extend(files.flat_map(|content| content.secrets().cloned()));
    names.extend(desired.datasets.values().filter_map(|d| d.key.clone()));
    names.extend(desired.backups.values().flat_map(BackupJob::secrets));
    names.extend(desired.nights.iter().flat_map(|n| n.secrets().cloned()));
    match desired.proxmox.as_ref().map(|api| &api.auth) {
        Some(ApiAuth::Token { secret, .. }) => names.push(secret.clone()),
        Some(ApiAuth::Password { password, .. }) => names.push(password.clone()),
        None => {}
    }
    names.sort();
    names.dedup();
    names
}

impl Session {
    /// Looks at everything, once.
    pub(crate) async fn look(&self) -> Observed {
        let questions = questions(
            &self.desired,
            &self.compiled.resources,
            self.compiled.releases.values(),
        );
        let eyes = Eyes {
            proxmox: self.world.proxmox.as_ref(),
            hosts: &self.hosts,
        };
        observe(&questions, &eyes).await
    }

    /// Compares what was seen with what is wanted.
    pub(crate) fn plan(&self, observed: &Observed) -> Result<Plan, Failure> {
        let inputs = Inputs {
            desired: &self.desired,
            firewall: &self.compiled.firewall,
            resources: &self.compiled.resources,
            releases: &self.compiled.releases,
            secrets: &self.world.secrets,
            observed,
        };
        plan(&inputs, self.lab).map_err(|error| super::failure::failed(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_run_logs_in_as_its_operator_does() {
        let mut env = Env::read();
        env.home = Some("/home/ada".into());
        env.variables
            .insert("SSH_AUTH_SOCK".to_owned(), "/run/agent".to_owned());
        let person = person(&env);
        assert!(person.config, "his ~/.ssh/config and his keys");
        assert_eq!(person.agent, Some("/run/agent".into()));
        env.variables
            .insert("SSH_AUTH_SOCK".to_owned(), String::new());
        assert_eq!(super::person(&env).agent, None);
    }
}

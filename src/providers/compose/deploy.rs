//! One release onto one host: stage, pull, up, health, and the way back.

use super::{
    ComposeWrite,
    error::ComposeError,
    parse::{Health, PulledImage, Staged},
};
use crate::model::{release::Release, secret::SecretValues};
use std::future::Future;

/// A step that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Mounts are proven, directories made, files written.
    Stage,
    /// Images are pulled and checked.
    Pull,
    /// The data that goes back with the release is kept.
    Keep,
    /// The link is flipped and containers are made anew.
    Up,
    /// Health is waited for.
    Health,
    /// The release before is brought back.
    RollBack,
}

/// Why data could not be kept or brought back.
pub type DataError = Box<dyn std::error::Error + Send + Sync>;

/// Data that goes back with its release.
pub trait DataGuard: Send + Sync {
    /// Whether there is any.
    fn is_set(&self) -> bool;

    /// Keeps what is there now.
    fn take(&self) -> impl Future<Output = Result<(), DataError>> + Send;

    /// Brings it back, while nothing uses it. Says what was done.
    fn put_back(&self) -> impl Future<Output = Result<String, DataError>> + Send;

    /// Where what was kept can be found, for people.
    fn place(&self) -> String;

    /// The release is well: what was kept is not needed any more.
    fn let_go(&self) -> impl Future<Output = Result<(), DataError>> + Send;
}

/// A stack whose data stays as the new release left it.
#[derive(Debug, Clone, Copy)]
pub struct Unguarded;

impl DataGuard for Unguarded {
    fn is_set(&self) -> bool {
        false
    }

    async fn take(&self) -> Result<(), DataError> {
        Ok(())
    }

    async fn put_back(&self) -> Result<String, DataError> {
        Ok(String::new())
    }

    fn place(&self) -> String {
        String::new()
    }

    async fn let_go(&self) -> Result<(), DataError> {
        Ok(())
    }
}

/// What a deployment did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// Release that was current before, none the first time.
    pub previous: Option<String>,
    /// Images of the release with their ids.
    pub images: Vec<PulledImage>,
    /// Files that were not there, and files that were repaired.
    pub staged: Staged,
}

/// Deploys a release, or repairs one that is deployed. `report` hears of every step as it begins.
///
/// # Errors
/// Before the link is flipped: the running release was left alone. After that: [`ComposeError::RolledBack`] when the release
/// before runs again and is well; otherwise what went wrong, with nothing to go back to or no way back.
pub async fn deploy<C: ComposeWrite, G: DataGuard>(
    compose: &C,
    release: &Release,
    secrets: &SecretValues,
    guard: &G,
    mut report: impl FnMut(Step) + Send,
) -> Result<Deployed, ComposeError> {
    report(Step::Stage);
    let staged = compose.stage(release, secrets).await?;
    report(Step::Pull);
    let images = compose.pull(release).await?;
    if guard.is_set() {
        report(Step::Keep);
        let kept = guard.take().await;
        kept.map_err(|source| ComposeError::NotKept {
            stack: release.stack.clone(),
            source,
        })?;
    }
    report(Step::Up);
    let flipped = compose.up(release, &users(release, &staged)).await;
    let (previous, failure) = match flipped {
        Ok(previous) => {
            report(Step::Health);
            let failure = unhealthy(compose, release, secrets, release.timeout_seconds).await?;
            (previous, failure)
        }
        Err(ComposeError::NotStarted {
            host,
            stack,
            why,
            previous,
            ..
        }) => {
            let services = match compose.health(release, secrets, 0).await {
                Ok(Health::Ailing(services)) => services,
                Ok(Health::Healthy) | Err(_) => vec![],
            };
            let failure = ComposeError::NotStarted {
                host,
                stack,
                why,
                previous: previous.clone(),
                services,
            };
            (previous, Some(failure))
        }
        Err(other) => return Err(other),
    };
    match (failure, previous) {
        (None, previous) => {
            // What cannot go stays: an old snapshot harms nobody, and the release is well.
            let _kept = guard.let_go().await;
            Ok(Deployed {
                previous,
                images,
                staged,
            })
        }
        (Some(failure), Some(previous)) if previous != release.id => {
            report(Step::RollBack);
            Err(roll_back(compose, release, secrets, guard, previous, failure).await)
        }
        (Some(failure), _) => Err(failure),
    }
}

/// The services that use a repaired file: their containers still hold the old one open.
fn users(release: &Release, staged: &Staged) -> Vec<String> {
    let uses = |file: &String| staged.changed.contains(file);
    release
        .services
        .iter()
        .filter(|service| service.files.iter().any(uses))
        .map(|service| service.name.clone())
        .collect()
}

async fn unhealthy<C: ComposeWrite>(
    compose: &C,
    release: &Release,
    secrets: &SecretValues,
    seconds: u32,
) -> Result<Option<ComposeError>, ComposeError> {
    Ok(match compose.health(release, secrets, seconds).await? {
        Health::Healthy => None,
        Health::Ailing(services) => Some(ComposeError::Unhealthy {
            host: release.host.clone(),
            stack: release.stack.clone(),
            services,
        }),
    })
}

/// Goes back to an earlier release because somebody asked for it; when it is not well in time, what ran is started again.
///
/// # Errors
/// [`ComposeError::RolledBack`] when the release asked for failed and what ran before runs again.
pub async fn go_back<C: ComposeWrite>(
    compose: &C,
    release: &Release,
    secrets: &SecretValues,
    to: &str,
    from: Option<&str>,
    mut report: impl FnMut(Step) + Send,
) -> Result<(), ComposeError> {
    report(Step::Up);
    let failure = match compose.back_to(release, to).await {
        Ok(()) => {
            report(Step::Health);
            let there = earlier(release, to);
            unhealthy(compose, &there, secrets, release.timeout_seconds).await?
        }
        Err(failure @ ComposeError::NotStarted { .. }) => Some(failure),
        Err(other) => return Err(other),
    };
    match (failure, from) {
        (None, _) => Ok(()),
        (Some(failure), Some(from)) if from != to => {
            report(Step::RollBack);
            let from = from.to_owned();
            Err(roll_back(compose, release, secrets, &Unguarded, from, failure).await)
        }
        (Some(failure), _) => Err(failure),
    }
}

/// Which services an earlier release has is for its files to say: whatever they start must be well.
fn earlier(release: &Release, id: &str) -> Release {
    Release {
        id: id.to_owned(),
        services: vec![],
        ..release.clone()
    }
}

async fn roll_back<C: ComposeWrite, G: DataGuard>(
    compose: &C,
    release: &Release,
    secrets: &SecretValues,
    guard: &G,
    previous: String,
    failure: ComposeError,
) -> ComposeError {
    let stack = release.stack.clone();
    let source = Box::new(failure);
    let data = match data_back(compose, release, guard).await {
        Ok(data) => data,
        // The release before is not started on files that it may not understand.
        Err(back) => {
            return ComposeError::NotRolledBack {
                stack,
                to: previous,
                back: Box::new(back),
                source,
            };
        }
    };
    let before = earlier(release, &previous);
    let back = match compose.back_to(release, &previous).await {
        Ok(()) => match unhealthy(compose, &before, secrets, release.timeout_seconds).await {
            Ok(failure) => failure,
            Err(failure) => Some(failure),
        },
        Err(failure) => Some(failure),
    };
    match back {
        None => ComposeError::RolledBack {
            stack,
            to: previous,
            data,
            source,
        },
        Some(back) => ComposeError::NotRolledBack {
            stack,
            to: previous,
            back: Box::new(back),
            source,
        },
    }
}

/// Stops the stack and brings its data back; says what was done, nothing for a stack whose data stays.
async fn data_back<C: ComposeWrite, G: DataGuard>(
    compose: &C,
    release: &Release,
    guard: &G,
) -> Result<Option<String>, ComposeError> {
    if !guard.is_set() {
        return Ok(None);
    }
    compose.halt(&release.stack, &release.system).await?;
    let done = guard.put_back().await;
    done.map(Some).map_err(|source| ComposeError::NotPutBack {
        stack: release.stack.clone(),
        place: guard.place(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        ids::{HostName, StackName, SystemName},
        release::{ReleaseFile, ReleaseService, ReleaseUnit},
        secret::Content,
    };
    use crate::providers::{
        compose::Compose,
        shell::{Command, Output, Shell, ShellError},
    };
    use std::sync::Mutex;

    /// Answers each script from a list and remembers what was asked.
    struct Scripted {
        host: HostName,
        answers: Mutex<Vec<(&'static str, i32, &'static str, &'static str)>>,
        asked: Mutex<Vec<String>>,
    }

    impl Shell for Scripted {
        fn host(&self) -> &HostName {
            &self.host
        }

        async fn run(&self, command: Command) -> Result<Output, ShellError> {
            let name = command.script_name().expect("a script").to_owned();
            let args = command.argv[4..].join(" ");
            self.asked
                .lock()
                .expect("one thread")
                .push(format!("{name} {args}"));
            let (expected, code, out, err) = self.answers.lock().expect("one thread").remove(0);
            assert_eq!(name, format!("infra-stack-{expected}"));
            Ok(Output {
                code,
                signal: None,
                stdout: out.into(),
                stderr: err.into(),
            })
        }
    }

    fn release() -> Release {
        let service = |name: &str, files: &[&str]| ReleaseService {
            name: name.to_owned(),
            release: "r".to_owned(),
            files: files.iter().map(|file| (*file).to_owned()).collect(),
            image: "docker.io/test/tiny:1".to_owned(),
            one_shot: false,
            healthcheck: true,
            shares_network_of: None,
        };
        Release {
            system: SystemName::new("home").expect("valid"),
            stack: StackName::new("demo").expect("valid"),
            host: HostName::new("pi").expect("valid"),
            id: "new".to_owned(),
            files: vec![ReleaseFile {
                path: "web.conf".to_owned(),
                content: Content::text("x"),
                sha256: String::new(),
                mode: 0o644,
                uid: 0,
                gid: 0,
            }],
            images: vec!["docker.io/test/tiny:1".to_owned()],
            services: vec![service("web", &["web.conf"]), service("side", &[])],
            directories: vec![],
            data: vec![],
            needs_mounts: vec!["/mnt/tank".to_owned()],
            datasets: std::collections::BTreeMap::new(),
            guarded: vec![],
            needs: vec![],
            settle_seconds: 5,
            timeout_seconds: 60,
            unit: ReleaseUnit {
                name: "infra-stack-demo.service".to_owned(),
                text: "[Unit]\n".to_owned(),
                sha256: String::new(),
            },
        }
    }

    const IMAGE: &str = "image docker.io/test/tiny:1 sha256:aa linux/amd64\n";
    const STAGED: (&str, i32, &str, &str) = ("stage", 0, "new web.conf\n", "");
    const PULLED: (&str, i32, &str, &str) = ("pull", 0, IMAGE, "");
    const BAD: (&str, i32, &str, &str) = (
        "health",
        51,
        include_str!("../../../tests/compose/health-bad.txt"),
        "",
    );

    /// The result, and the scripts that ran.
    async fn run(
        answers: &[(&'static str, i32, &'static str, &'static str)],
    ) -> (Result<Deployed, ComposeError>, Vec<String>, Vec<Step>) {
        run_guarded(answers, &Unguarded).await
    }

    async fn run_guarded<G: DataGuard>(
        answers: &[(&'static str, i32, &'static str, &'static str)],
        guard: &G,
    ) -> (Result<Deployed, ComposeError>, Vec<String>, Vec<Step>) {
        let shell = Scripted {
            host: HostName::new("pi").expect("valid"),
            answers: Mutex::new(answers.to_vec()),
            asked: Mutex::default(),
        };
        let mut secrets = SecretValues::default();
        secrets.insert(
            crate::model::ids::SecretName::new("db").expect("valid"),
            "hunter2".to_owned().into(),
        );
        let mut steps = vec![];
        let compose = Compose::new(&shell);
        let result = deploy(&compose, &release(), &secrets, guard, |step| {
            steps.push(step);
        })
        .await;
        assert!(shell.answers.lock().expect("one thread").is_empty());
        (result, shell.asked.into_inner().expect("one thread"), steps)
    }

    #[tokio::test]
    async fn a_release_is_staged_pulled_flipped_and_watched() {
        let (result, asked, steps) = run(&[
            STAGED,
            PULLED,
            ("up", 0, "previous \n", ""),
            ("health", 0, "healthy\n", ""),
        ])
        .await;
        let deployed = result.expect("deployed");
        assert_eq!(
            (deployed.previous, deployed.images[0].id.as_str()),
            (None, "sha256:aa")
        );
        assert_eq!(steps, [Step::Stage, Step::Pull, Step::Up, Step::Health]);
        assert_eq!(
            asked,
            [
                "infra-stack-stage demo new",
                "infra-stack-pull demo new docker.io/test/tiny:1",
                "infra-stack-up demo new",
                "infra-stack-health demo 60 5 web side",
            ]
        );
    }

    #[tokio::test]
    async fn containers_that_hold_a_repaired_file_are_made_anew() {
        let (result, asked, _) = run(&[
            ("stage", 0, "changed web.conf\n", ""),
            PULLED,
            ("up", 0, "previous new\n", ""),
            ("health", 0, "healthy\n", ""),
        ])
        .await;
        assert_eq!(result.expect("repaired").previous.as_deref(), Some("new"));
        assert_eq!(asked[2], "infra-stack-up demo new web");
    }

    #[tokio::test]
    async fn nothing_is_flipped_without_mounts_images_and_valid_files() {
        let missing = ("stage", 21, "missing-mount /mnt/tank\n", "");
        let (result, asked, _) = run(&[missing]).await;
        assert!(
            matches!(&result, Err(ComposeError::MissingMount { path, .. }) if path == "/mnt/tank")
        );
        assert_eq!(asked.len(), 1);

        let full = (
            "stage",
            1,
            "",
            "head: error writing 'standard output': No space left on device",
        );
        assert!(matches!(
            run(&[full]).await.0,
            Err(ComposeError::DiskFull { .. })
        ));

        for (code, out, expected) in [
            (31, "", "make compose on pi accept stack demo: said so"),
            (
                32,
                "not-pulled docker.io/test/none:1\n",
                "pull docker.io/test/none:1 on pi: said so",
            ),
            (
                33,
                include_str!("../../../tests/compose/pull-arch.txt"),
                "run docker.io/test/arm:1 on pi: it is made for linux/arm64, and the host is linux/amd64",
            ),
        ] {
            let (result, asked, _) = run(&[STAGED, ("pull", code, out, "said so")]).await;
            assert_eq!(result.expect_err("fails").to_string(), expected);
            assert_eq!(asked.len(), 2);
        }
    }

    #[tokio::test]
    async fn an_unhealthy_release_is_rolled_back_and_says_why() {
        let (result, asked, steps) = run(&[
            STAGED,
            PULLED,
            ("up", 0, "previous old\n", ""),
            BAD,
            ("up", 0, "previous new\n", ""),
            ("health", 0, "healthy\n", ""),
        ])
        .await;
        let error = result.expect_err("fails");
        assert!(error.is_rolled_back());
        assert_eq!(
            error.to_string(),
            "deploy stack demo: rolled back to release old, which is healthy"
        );
        let source = std::error::Error::source(&error)
            .expect("has one")
            .to_string();
        insta::assert_snapshot!(source, @r"
        bring stack demo on pi to health
          once: it ended with exit code 3
            migrating with <secret:db>
          absent: no container
          side: it has been up for less than 3 s
          web: its healthcheck has not passed
        ");
        assert_eq!(
            asked[4..],
            ["infra-stack-up demo old", "infra-stack-health demo 60 5"]
        );
        assert_eq!(steps.last(), Some(&Step::RollBack));
    }

    #[tokio::test]
    async fn a_start_that_fails_is_rolled_back_too() {
        let conflict = ("up", 41, "previous old\n", "bind: address already in use");
        let (result, _, _) = run(&[
            STAGED,
            PULLED,
            conflict,
            (
                "health",
                51,
                include_str!("../../../tests/compose/health-created.txt"),
                "",
            ),
            ("up", 0, "previous new\n", ""),
            BAD,
        ])
        .await;
        let error = result.expect_err("fails");
        assert!(!error.is_rolled_back());
        assert!(
            matches!(error, ComposeError::NotRolledBack { .. }),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_first_release_has_nothing_to_go_back_to() {
        for previous in ["previous \n", "previous new\n"] {
            let (result, asked, _) = run(&[STAGED, PULLED, ("up", 0, previous, ""), BAD]).await;
            assert!(matches!(result, Err(ComposeError::Unhealthy { .. })));
            assert_eq!(asked.len(), 4);
        }
    }

    /// Remembers what was asked of it; `fails` at one of these.
    #[derive(Default)]
    struct Kept {
        asked: Mutex<Vec<&'static str>>,
        fails: Option<&'static str>,
    }

    impl Kept {
        #[expect(clippy::unwrap_in_result, reason = "a test's own lock")]
        fn asked(&self, what: &'static str) -> Result<(), DataError> {
            self.asked.lock().expect("one thread").push(what);
            match self.fails {
                Some(fails) if fails == what => Err("no room".into()),
                Some(_) | None => Ok(()),
            }
        }
    }

    impl DataGuard for Kept {
        fn is_set(&self) -> bool {
            true
        }

        async fn take(&self) -> Result<(), DataError> {
            self.asked("take")
        }

        async fn put_back(&self) -> Result<String, DataError> {
            self.asked("put back")?;
            Ok("the files of tank/db are those of before".to_owned())
        }

        fn place(&self) -> String {
            "tank/db@guard".to_owned()
        }

        async fn let_go(&self) -> Result<(), DataError> {
            self.asked("let go")
        }
    }

    const UP: (&str, i32, &str, &str) = ("up", 0, "previous old\n", "");

    #[tokio::test]
    async fn data_is_kept_before_anything_is_stopped_and_let_go_when_all_is_well() {
        let kept = Kept::default();
        let answers = [STAGED, PULLED, UP, ("health", 0, "healthy\n", "")];
        let (result, _, steps) = run_guarded(&answers, &kept).await;
        result.expect("deployed");
        assert_eq!(
            steps,
            [Step::Stage, Step::Pull, Step::Keep, Step::Up, Step::Health]
        );
        assert_eq!(*kept.asked.lock().expect("one thread"), ["take", "let go"]);
    }

    #[tokio::test]
    async fn data_goes_back_with_a_release_that_fails_while_nothing_runs() {
        let kept = Kept::default();
        let answers = [
            STAGED,
            PULLED,
            UP,
            BAD,
            ("halt", 0, "", ""),
            ("up", 0, "previous new\n", ""),
            ("health", 0, "healthy\n", ""),
        ];
        let (result, asked, _) = run_guarded(&answers, &kept).await;
        let error = result.expect_err("the new release is ill");
        assert!(error.is_rolled_back());
        assert_eq!(
            error.to_string(),
            "deploy stack demo: rolled back to release old, which is healthy; the files of tank/db are those of before"
        );
        assert_eq!(
            *kept.asked.lock().expect("one thread"),
            ["take", "put back"]
        );
        assert_eq!(asked[4], "infra-stack-halt demo home");
    }

    #[tokio::test]
    async fn without_a_snapshot_nothing_begins_and_without_its_data_nothing_starts() {
        let kept = Kept {
            fails: Some("take"),
            ..Kept::default()
        };
        let (result, _, _) = run_guarded(&[STAGED, PULLED], &kept).await;
        let error = result.expect_err("nothing was kept");
        assert!(matches!(error, ComposeError::NotKept { .. }), "{error}");
        let kept = Kept {
            fails: Some("put back"),
            ..Kept::default()
        };
        let answers = [STAGED, PULLED, UP, BAD, ("halt", 0, "", "")];
        let (result, _, _) = run_guarded(&answers, &kept).await;
        let text = result.expect_err("half a way back").to_string();
        assert!(
            text.contains("put the data of stack demo back (it is in tank/db@guard)"),
            "{text}"
        );
    }
}

//! Whole trees of files on hosts: counted, removed. A copy may be a million files on spinning disks.

use super::error::BackupError;
use crate::providers::shell::{Command, Shell};
use std::time::Duration;

/// A million files, or a database of a hundred gigabytes, on spinning disks.
pub(super) const PATIENCE: Duration = Duration::from_hours(12);

/// A stamp as `find -name` knows it: a job's name may go on where another's ends.
const STAMP: &str = "[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]t[0-9][0-9][0-9][0-9][0-9][0-9]";

/// Removes a path and everything in it; what is mounted there stays.
///
/// # Errors
/// The way to the host, or what cannot be removed.
pub async fn remove<S: Shell>(shell: &S, path: &str) -> Result<(), BackupError> {
    let words = ["rm", "-rf", "--one-file-system", "--", path];
    shell.demand(Command::new(words).timeout(PATIENCE)).await?;
    Ok(())
}

/// Removes from a directory what has a name that begins like this and ends in a moment: `drill-photos-20261130t174713`.
///
/// # Errors
/// The way to the host, or what cannot be removed.
pub async fn remove_dead<S: Shell>(shell: &S, folder: &str, lead: &str) -> Result<(), BackupError> {
    let command = Command::new(["find", folder, "-mindepth", "1", "-maxdepth", "1", "-name"])
        .args([format!("{lead}{STAMP}")])
        .args(["-exec", "rm", "-rf", "--one-file-system", "{}", "+"])
        .timeout(PATIENCE);
    shell.demand(command).await?;
    Ok(())
}

/// Files and symbolic links below a path, as they are counted in a source.
///
/// # Errors
/// The way to the host, or what cannot be read.
pub async fn count<S: Shell>(shell: &S, path: &str) -> Result<u64, BackupError> {
    let words = [
        "find", path, "(", "-type", "f", "-o", "-type", "l", ")", "-printf", ".",
    ];
    let output = shell.demand(Command::new(words).timeout(PATIENCE)).await?;
    Ok(u64::try_from(output.stdout.len()).unwrap_or(u64::MAX))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "lays out what is removed")]
mod tests {
    use super::{super::stand::Stand, super::stand::block_on, *};
    use crate::model::ids::HostName;
    use crate::providers::{
        backup::{aside, aside_back, compare, present, tidy, unpack},
        shell::{Output, ShellError},
    };
    use std::fs;

    /// A host on whose disks every command takes an hour.
    struct Slow(Stand);

    impl Shell for Slow {
        fn host(&self) -> &HostName {
            self.0.host()
        }

        async fn run(&self, command: Command) -> Result<Output, ShellError> {
            if command.timeout < Duration::from_hours(1) {
                return Err(ShellError::TimedOut {
                    host: self.host().clone(),
                    command: command.argv.join(" "),
                    seconds: command.timeout.as_secs(),
                });
            }
            self.0.run(command).await
        }
    }

    fn made(slow: &Slow, names: &[&str]) -> String {
        for name in names {
            fs::create_dir_all(slow.0.path().join(name)).expect("made");
            fs::write(slow.0.path().join(name).join("file"), "1").expect("written");
        }
        slow.0.file("")
    }

    #[test]
    fn nothing_that_goes_through_a_whole_tree_is_given_up_early() {
        let slow = Slow(Stand::new(&[]));
        let folder = made(&slow, &["live", "back"]);
        let (live, back) = (format!("{folder}live"), format!("{folder}back"));
        block_on(async {
            assert_eq!(count(&slow, &live).await.expect("counted"), 1);
            assert_eq!(present(&slow, &live).await.expect("listed"), ["file"]);
            let found = compare(&slow, &back, &live, 4_000_000_000, &[]).await;
            assert_eq!(found.expect("compared").alike, 1);
            aside(&slow, &live, "t1").await.expect("moved");
            aside_back(&slow, &live, "t1").await.expect("back");
            let extra = ["file".to_owned()];
            tidy(&slow, &live, &extra).await.expect("tidied");
            remove(&slow, &back).await.expect("removed");
            remove_dead(&slow, &folder, "live").await.expect("removed");
            let none = unpack(&slow, &back).await.expect_err("no tar");
            assert!(!none.to_string().contains("within"), "{none}");
        });
        assert!(!slow.0.path().join("back").exists());
    }

    #[test]
    fn only_what_is_left_of_drills_of_the_job_itself_goes() {
        let slow = Slow(Stand::new(&[]));
        let names = [
            "drill-photos-20261130t174713",
            "drill-photos-old-20261130t174713",
            "drill-photos-kept",
            "photos",
        ];
        let folder = made(&slow, &names);
        block_on(remove_dead(&slow, &folder, "drill-photos-")).expect("removed");
        let is_there = names.map(|name| slow.0.path().join(name).exists());
        assert_eq!(is_there, [false, true, true, true]);
    }
}

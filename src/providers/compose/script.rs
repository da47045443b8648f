//! The scripts that run on a host. Names, inputs, outputs and exit codes are a contract: a scripted host answers by them.
//!
//! Every script but the facts takes the stack as its first argument. stdout is for machines, stderr for people.

/// The sh function `facts_docker`, without arguments. Prints `absent`, or a line `version <engine>` (empty when no engine
/// answers), maybe `firewall <backend>`, one line `container <json>` for each container with a compose label, and `end`;
/// `failed` before `end` when containers could not be read.
pub const FACTS: &str = include_str!("scripts/facts.sh");

/// `infra-stack-stage STACK ID`. stdin: records `mount PATH`, `directory MODE UID GID PATH`, `data MODE UID GID PATH` (a link
/// in the release to what outlives it), `file MODE UID GID BYTES PATH`
/// followed by exactly that many bytes, and `end`. stdout: `new PATH` and `changed PATH` for each file that was not as given.
/// Exit 21 after `missing-mount PATH` or `bare-mount PATH`; 22 when the input ends early.
pub const STAGE: &str = concat!(
    include_str!("scripts/preamble.sh"),
    include_str!("scripts/stage.sh")
);
/// Name of [`STAGE`].
pub const STAGE_NAME: &str = "infra-stack-stage";

/// `infra-stack-pull STACK ID IMAGE...`. stdout: `image REFERENCE ID OS/ARCH` for each. Exit 31 when compose refuses the files;
/// 32 after `not-pulled REFERENCE`; 33 after `wrong-architecture REFERENCE HAVE WANT`.
pub const PULL: &str = concat!(
    include_str!("scripts/preamble.sh"),
    include_str!("scripts/pull.sh")
);
/// Name of [`PULL`].
pub const PULL_NAME: &str = "infra-stack-pull";

/// `infra-stack-up STACK ID SERVICE...`: the services are made anew. stdin: text of the stack's unit, or nothing to leave it as
/// it is. stdout: `previous ID`, without an id the first time. Exit 41 when compose fails. A release other than the one before
/// becomes a line of the stack's history: `deploy` with a unit, `back` without.
pub const UP: &str = concat!(
    include_str!("scripts/preamble.sh"),
    include_str!("scripts/up.sh")
);
/// Name of [`UP`].
pub const UP_NAME: &str = "infra-stack-up";

/// `infra-stack-health STACK TIMEOUT SETTLE SERVICE...`, seconds. stdout: `healthy`, or (exit 51) for each service that is not
/// well `bad|` or `wait|`, then `SERVICE|CONTAINER|STATE|HEALTH|EXIT|RESTARTS|REASON`, and below it `log|LINE` (the last 20)
/// and `health|JSON STRING` (what the healthcheck last said). `bad` ends the wait at once, `wait` when the time is over.
pub const HEALTH: &str = concat!(
    include_str!("scripts/preamble.sh"),
    include_str!("scripts/health.sh")
);
/// Name of [`HEALTH`].
pub const HEALTH_NAME: &str = "infra-stack-health";

/// `infra-stack-remove STACK SYSTEM`. Exit 61 after `foreign CONTAINER` for each container that is not this system's.
pub const REMOVE: &str = concat!(
    include_str!("scripts/preamble.sh"),
    include_str!("scripts/remove.sh")
);
/// Name of [`REMOVE`].
pub const REMOVE_NAME: &str = "infra-stack-remove";

/// `infra-stack-halt STACK SYSTEM`: its containers are stopped, and none is left that runs. Exit 61 as [`REMOVE`].
pub const HALT: &str = concat!(
    include_str!("scripts/preamble.sh"),
    include_str!("scripts/halt.sh")
);
/// Name of [`HALT`].
pub const HALT_NAME: &str = "infra-stack-halt";

/// `infra-stack-exec STACK SERVICE ARGV...`. Exit 71 when no container of the service runs, else what the command returned.
pub const EXEC: &str = concat!(
    include_str!("scripts/preamble.sh"),
    include_str!("scripts/exec.sh")
);
/// Name of [`EXEC`].
pub const EXEC_NAME: &str = "infra-stack-exec";

/// `infra-stack-history STACK`. stdout: `current ID`, `staged ID SECONDS` for each release that is still there, youngest
/// first, `flip TIME deploy|back ID` for each time that another release became current, oldest first, and `end`. Exit 81 when
/// the stack was never deployed.
pub const HISTORY: &str = concat!(
    include_str!("scripts/preamble.sh"),
    include_str!("scripts/history.sh")
);
/// Name of [`HISTORY`].
pub const HISTORY_NAME: &str = "infra-stack-history";

/// `infra-stack-logs STACK LINES SINCE|- FOLLOW(0|1) SERVICE...`. stdout: what the containers wrote, secrets and all. Exit 81
/// when the stack was never deployed.
pub const LOGS: &str = concat!(
    include_str!("scripts/preamble.sh"),
    include_str!("scripts/logs.sh")
);
/// Name of [`LOGS`].
pub const LOGS_NAME: &str = "infra-stack-logs";

/// `infra-stack-digests REFERENCE...`. stdout: `platform OS/ARCH`, `answer REFERENCE JSON` with what the engine's
/// `/distribution/REFERENCE/json` says, and `end`.
pub const DIGESTS: &str = concat!("set -u\n", include_str!("scripts/digests.sh"));
/// Name of [`DIGESTS`].
pub const DIGESTS_NAME: &str = "infra-stack-digests";

/// `infra-stack-enter STACK SERVICE ARGV...`: as [`EXEC`], on a terminal.
pub const ENTER: &str = concat!(
    include_str!("scripts/preamble.sh"),
    include_str!("scripts/enter.sh")
);
/// Name of [`ENTER`].
pub const ENTER_NAME: &str = "infra-stack-enter";

/// `infra-stack-files STACK`. stdin: paths inside the release that runs, one a line. stdout: `file BYTES PATH` followed by
/// exactly that many bytes for each that is there, and `end`.
pub const FILES: &str = concat!(
    include_str!("scripts/preamble.sh"),
    include_str!("scripts/files.sh")
);
/// Name of [`FILES`].
pub const FILES_NAME: &str = "infra-stack-files";

//! Commands over one connection.

use crate::sshd::{own_name, sshd};
use futures_util::future::join_all;
use infra::{
    model::facts::{FactsRequest, SshPeer},
    providers::{
        host::HostRead as _,
        shell::{Command, Shell, ShellError},
        ssh::{Counts, SshHost},
    },
};
use std::{fs, time::Duration};

fn script(text: &str) -> Command {
    Command::script("infra-test", text)
}

/// Ends the server's process of this very connection.
const CUT: &str = r#"
p=$$
while read -r name </proc/$p/comm; do
  case $name in sshd*) break;; esac
  p=$(sed -n 's/^PPid:[^0-9]*//p' /proc/$p/status)
done
kill -9 "$p"
"#;

async fn text(host: &SshHost, command: Command) -> String {
    host.demand(command).await.expect("it works").text()
}

#[tokio::test]
async fn a_hundred_commands_share_one_connection() {
    let Some(sshd) = sshd("") else { return };
    let host = sshd.host();
    assert_eq!(host.counts(), Counts::default());
    let runs = (0..100).map(|n| {
        let host = host.clone();
        async move { text(&host, Command::new(["echo", &format!("it's {n}")])).await }
    });
    let answers = join_all(runs).await;
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!(answer, &format!("it's {n}\n"));
    }
    assert_eq!(
        host.counts(),
        Counts {
            connections: 1,
            execs: 100
        }
    );
}

#[tokio::test]
async fn a_host_says_over_which_connection_it_is_asked() {
    let Some(sshd) = sshd("") else { return };
    let facts = sshd.host().facts(&FactsRequest::default()).await;
    let peer = SshPeer {
        address: [127, 0, 0, 1].into(),
        port: sshd.port,
    };
    assert_eq!(facts.expect("answered").ssh_peer, Some(peer));
}

#[tokio::test]
async fn eight_megabytes_come_back_on_both_streams_over_several_channels() {
    let Some(sshd) = sshd("RekeyLimit 16M") else {
        return;
    };
    let host = sshd.host();
    let input: Vec<u8> = (0..8_000_000_u32)
        .flat_map(|n| (n % 251).to_le_bytes())
        .take(8_000_000)
        .collect();
    let runs = (0..3).map(|_| host.demand(script("tee /dev/stderr").stdin(input.clone())));
    for output in join_all(runs).await {
        let output = output.expect("it works");
        assert!(output.stdout == input, "stdout differs");
        assert!(output.stderr == input, "stderr differs");
    }
    assert_eq!(host.counts().connections, 1);
}

#[tokio::test]
async fn a_killed_command_is_no_success() {
    let Some(sshd) = sshd("") else { return };
    let output = sshd
        .host()
        .run(script("echo said; kill -TERM $$"))
        .await
        .expect("it ran");
    assert!(!output.is_success());
    assert_eq!(
        (
            output.code,
            output.signal.as_deref(),
            output.text().as_str()
        ),
        (-1, Some("TERM"), "said\n")
    );
}

#[tokio::test]
async fn an_exit_code_comes_with_what_was_written() {
    let Some(sshd) = sshd("") else { return };
    let host = sshd.host();
    let failure = host
        .demand(script("echo out; echo err >&2; exit 7"))
        .await
        .expect_err("it fails");
    assert!(
        matches!(failure, ShellError::Failed { code: 7, ref complaint, .. } if complaint == "err"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_timeout_ends_the_command_on_the_far_side_and_leaves_the_connection_usable() {
    let Some(sshd) = sshd("") else { return };
    let host = sshd.host();
    let note = sshd.path("pid");
    let sleeper = script("echo $$ >\"$1\"; sleep 300 & echo $! >>\"$1\"; wait")
        .args([note.display().to_string()]);
    let failure = host
        .run(sleeper.timeout(Duration::from_millis(300)))
        .await
        .expect_err("too slow");
    assert!(matches!(failure, ShellError::TimedOut { .. }), "{failure}");
    for pid in fs::read_to_string(&note).expect("it started").lines() {
        // A zombie that nobody has collected yet has ended too.
        let state = "sed -n 's/^State:[^A-Z]*//p' /proc/$1/status 2>/dev/null || :";
        let state = text(&host, script(state).args([pid])).await;
        assert!(
            state.is_empty() || state.starts_with('Z'),
            "{pid} still runs: {state}"
        );
    }
    assert_eq!(host.counts().connections, 1);
}

#[tokio::test]
async fn a_caller_that_leaves_frees_its_channel() {
    let Some(sshd) = sshd("MaxSessions 1") else {
        return;
    };
    let host = sshd.host();
    let fifo = sshd.path("fifo");
    let started = script("mkfifo \"$1\"; cat \"$1\"").args([fifo.display().to_string()]);
    let slow = tokio::time::timeout(
        Duration::from_millis(200),
        host.run(started.timeout(Duration::from_secs(1))),
    )
    .await;
    assert!(slow.is_err(), "the caller gave up first");
    assert_eq!(text(&host, Command::new(["echo", "next"])).await, "next\n");
}

#[tokio::test]
async fn more_commands_than_the_server_has_sessions_wait_their_turn() {
    let Some(sshd) = sshd("MaxSessions 2") else {
        return;
    };
    let host = sshd.host();
    let runs = (0..24).map(|_| host.demand(Command::new(["echo", "here"])));
    for output in join_all(runs).await {
        assert_eq!(output.expect("it works").text(), "here\n");
    }
    assert_eq!(
        host.counts(),
        Counts {
            connections: 1,
            execs: 24
        }
    );
}

#[tokio::test]
async fn input_that_nobody_reads_does_not_hang() {
    let Some(sshd) = sshd("") else { return };
    let host = sshd.host();
    let output = host
        .run(Command::new(["true"]).stdin(vec![b'x'; 8_000_000]))
        .await
        .expect("it ran");
    assert!(output.is_success());
    assert_eq!(text(&host, Command::new(["echo", "next"])).await, "next\n");
}

#[tokio::test]
async fn a_command_that_closes_its_output_still_gets_its_input_and_gives_its_code() {
    let Some(sshd) = sshd("") else { return };
    let host = sshd.host();
    let copy = sshd.path("copy");
    let command = script("exec >&- 2>&-; cat >\"$1\"; exit 3").args([copy.display().to_string()]);
    let output = host
        .run(command.stdin(vec![b'x'; 5_000_000]))
        .await
        .expect("it ran");
    assert_eq!(output.code, 3);
    assert_eq!(fs::metadata(copy).expect("written").len(), 5_000_000);
}

#[tokio::test]
async fn a_script_longer_than_a_packet_runs() {
    let Some(sshd) = sshd("") else { return };
    let host = sshd.host();
    let long = format!("#{}\necho \"$0 $1\"; cat", "x".repeat(200_000));
    let command = script(&long).args(["a  b"]).stdin("input");
    assert_eq!(text(&host, command).await, "infra-test a  b\ninput");
}

#[tokio::test]
async fn a_lost_connection_loses_the_command_and_the_next_one_connects_anew() {
    let Some(sshd) = sshd("") else { return };
    let host = sshd.host();
    let runs = sshd.path("runs").display().to_string();
    let cut = script(&format!("echo run >>\"$1\"; {CUT}; sleep 60")).args([&runs]);
    let failure = host.run(cut).await.expect_err("the line is cut");
    assert!(matches!(failure, ShellError::Lost { .. }), "{failure}");
    assert_eq!(
        text(&host, Command::new(["cat", &runs])).await,
        "run\n",
        "it is never run twice"
    );
    assert_eq!(
        host.counts(),
        Counts {
            connections: 2,
            execs: 2
        }
    );
}

#[tokio::test]
async fn a_connection_that_ended_while_idle_costs_nothing_but_a_new_one() {
    let Some(sshd) = sshd("") else { return };
    let (host, other) = (sshd.host(), sshd.host());
    let server = "p=$$; while read -r n </proc/$p/comm; do case $n in sshd*) break;; esac; \
                  p=$(sed -n 's/^PPid:[^0-9]*//p' /proc/$p/status); done; echo $p";
    let pid = text(&host, script(server)).await;
    let end = script("kill -9 $1; while kill -0 $1 2>/dev/null; do :; done").args([pid.trim()]);
    text(&other, end).await;
    assert_eq!(
        text(&host, Command::new(["echo", "again"])).await,
        "again\n"
    );
    assert_eq!(
        host.counts(),
        Counts {
            connections: 2,
            execs: 2
        }
    );
}

#[tokio::test]
async fn hanging_up_makes_the_next_command_prove_a_new_connection() {
    let Some(sshd) = sshd("") else { return };
    let host = sshd.host();
    assert_eq!(
        text(&host, Command::new(["id", "-un"])).await.trim(),
        own_name()
    );
    host.disconnect();
    assert_eq!(
        text(&host, Command::new(["id", "-un"])).await.trim(),
        own_name()
    );
    assert_eq!(host.counts().connections, 2);
}

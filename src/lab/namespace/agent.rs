//! The guest agent's socket.

use rustix::fs::{Mode, OFlags, open};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    path::Path,
    time::Duration,
};

/// How long an answer may take. `guest-exec` answers at once, freezing a filesystem takes 0.1 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Sends one command and reads one answer, both in qemu-ga's own JSON. None when no agent answers: not installed, not
/// started, or gone with the guest.
pub(super) fn ask(folder: &Path, command: &Value) -> Option<Value> {
    // The path of a unix socket has at most 107 bytes, a lab's folder may have more: go through the folder's handle.
    let handle = open(folder, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).ok()?;
    let path = format!("/proc/self/fd/{}/qga.sock", handle.as_raw_fd());
    let mut stream = UnixStream::connect(path).ok()?;
    stream.set_read_timeout(Some(ANSWER_WITHIN)).ok()?;
    stream.set_write_timeout(Some(ANSWER_WITHIN)).ok()?;
    let mut line = command.to_string();
    line.push('\n');
    stream.write_all(line.as_bytes()).ok()?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).ok()?;
    serde_json::from_str(&answer).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::os::unix::net::UnixListener;

    #[test]
    fn one_question_one_answer_and_nobody_there_is_none() {
        let folder = tempfile::tempdir().expect("folder");
        assert_eq!(ask(folder.path(), &json!({"execute": "guest-ping"})), None);
        let listener = UnixListener::bind(folder.path().join("qga.sock")).expect("bound");
        let agent = std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("accepted");
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).expect("read");
            (&stream).write_all(b"{\"return\": {}}\n").expect("written");
            line
        });
        let answer = ask(folder.path(), &json!({"execute": "guest-ping"}));
        assert_eq!(answer, Some(json!({"return": {}})));
        assert_eq!(
            agent.join().expect("joined"),
            "{\"execute\":\"guest-ping\"}\n"
        );
    }
}

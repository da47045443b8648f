//! One command on one channel, as a sequence of libssh2 calls that never block.

use crate::providers::shell::Output;
use ssh2::{BlockDirections, Channel, ErrorCode, Session};
use std::{
    io::{self, Read, Write},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// Bytes written in one call; libssh2 sends at most 32 700 in a packet.
const WRITE_CHUNK: usize = 32_000;

/// More output than this is a mistake, and holding it would take the machine down with it.
const OUTPUT_LIMIT: usize = 256 << 20;

/// How much longer than the far side's own limit we wait: it needs time to end its process and to say so.
const GRACE: Duration = Duration::from_secs(super::line::KILL_AFTER + 5);

/// How long a server may take to open a channel.
const OPEN_LIMIT: Duration = Duration::from_secs(30);

/// How long a channel may take to close.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// Why a command has no output.
#[derive(Debug)]
pub(super) enum Failure {
    /// No connection: it did not start.
    Connect(Arc<super::error::ConnectError>),
    /// The connection broke after it was sent.
    Lost,
    /// It was ended by a limit.
    TimedOut,
    /// The server refused the channel or the command: it did not start.
    Declined(String),
    /// It wrote more than anyone asked for.
    TooMuch,
}

/// A command that waits for its turn.
pub(super) struct Job {
    /// What the login shell reads.
    pub(super) line: String,
    /// Everything that goes to standard input.
    pub(super) stdin: Vec<u8>,
    /// The far side's limit.
    pub(super) limit: Duration,
    /// Who waits for the answer. It is closed when nobody does.
    pub(super) reply: oneshot::Sender<Result<Output, Failure>>,
    /// Times that opening a channel for it failed.
    pub(super) setbacks: u32,
}

/// A call into libssh2. After a call that could not send, the very same call must come first: the half-sent packet
/// belongs to it, and any other call that sends would wait for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Open,
    Exec,
    Write,
    SendEof,
    Read(i32),
    AwaitClose,
    Close,
}

/// What a call achieved.
pub(super) enum Step {
    Progress,
    Idle,
    /// It could not send; repeat it first.
    Pinned(Call),
    /// The server has no room for another channel.
    NoRoom,
}

/// The session is beyond use.
pub(super) struct Dead;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    Exec,
    Run,
    Close,
    Done,
}

/// A job with its channel.
pub(super) struct Exchange {
    stage: Stage,
    channel: Option<Channel>,
    line: String,
    stdin: Vec<u8>,
    written: usize,
    eof_sent: bool,
    ended: bool,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    limit: Duration,
    setbacks: u32,
    taken: Instant,
    started: Option<Instant>,
    close_by: Option<Instant>,
    reply: Option<oneshot::Sender<Result<Output, Failure>>>,
}

impl Exchange {
    pub(super) fn new(job: Job, now: Instant) -> Self {
        Self {
            stage: Stage::Open,
            channel: None,
            line: job.line,
            stdin: job.stdin,
            written: 0,
            eof_sent: false,
            ended: false,
            stdout: Vec::new(),
            stderr: Vec::new(),
            limit: job.limit,
            setbacks: job.setbacks,
            taken: now,
            started: None,
            close_by: None,
            reply: Some(job.reply),
        }
    }

    pub(super) fn is_opening(&self) -> bool {
        self.stage == Stage::Open
    }

    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Whether the command may have started on the far side.
    pub(super) fn is_sent(&self) -> bool {
        self.started.is_some()
    }

    /// When this must be looked at again even if nothing arrives.
    pub(super) fn deadline(&self) -> Instant {
        match (self.close_by, self.started) {
            (Some(by), _) => by,
            (None, Some(at)) => at + self.limit + GRACE,
            (None, None) => self.taken + OPEN_LIMIT,
        }
    }

    /// The job again, for a command that was never sent and is still wanted.
    pub(super) fn into_job(mut self) -> Option<Job> {
        let reply = self.reply.take().filter(|reply| !reply.is_closed())?;
        (!self.is_sent()).then(|| Job {
            line: std::mem::take(&mut self.line),
            stdin: std::mem::take(&mut self.stdin),
            limit: self.limit,
            reply,
            setbacks: self.setbacks + 1,
        })
    }

    /// Answers whoever waits, once.
    pub(super) fn fail(&mut self, failure: Failure) {
        if let Some(reply) = self.reply.take() {
            // Nobody waiting any more is fine.
            let _ = reply.send(Err(failure));
        }
    }

    /// Looks at the clock and at whether anybody still waits; turns to closing when there is no point in going on.
    pub(super) fn review(&mut self, now: Instant, pinned: bool) -> Result<(), Dead> {
        let late = now > self.deadline();
        match self.stage {
            // A server that answers nothing to an open is no server.
            Stage::Open if late => return Err(Dead),
            // sshd confirms a close only when the process behind it has ended: let it go, the far side's own limit
            // ends it. When the close itself could not be sent for so long, the connection is dead.
            Stage::Close if late && pinned => return Err(Dead),
            Stage::Close if late => {
                self.channel = None;
                self.stage = Stage::Done;
            }
            Stage::Open | Stage::Close | Stage::Done => {}
            Stage::Exec | Stage::Run => {
                let unwanted = self.reply.as_ref().is_none_or(oneshot::Sender::is_closed);
                if self.stdout.len() + self.stderr.len() > OUTPUT_LIMIT {
                    self.fail(Failure::TooMuch);
                    self.turn_to_closing(now);
                } else if late || unwanted {
                    self.fail(Failure::TimedOut);
                    self.turn_to_closing(now);
                }
            }
        }
        Ok(())
    }

    fn turn_to_closing(&mut self, now: Instant) {
        self.stage = Stage::Close;
        self.close_by = Some(now + CLOSE_LIMIT);
    }

    /// Makes the calls of this stage, or only the pinned one.
    pub(super) fn advance(
        &mut self,
        session: &Session,
        buffer: &mut [u8],
        pinned: Option<Call>,
    ) -> Result<Step, Dead> {
        if let Some(call) = pinned {
            return self.call(call, session, buffer);
        }
        match self.stage {
            Stage::Open => self.call(Call::Open, session, buffer),
            Stage::Exec => self.call(Call::Exec, session, buffer),
            Stage::Run => self.pump(session, buffer),
            Stage::Close => self.call(Call::Close, session, buffer),
            Stage::Done => Ok(Step::Idle),
        }
    }

    /// Input, then both outputs, since they share one window: leaving one unread stops the other.
    fn pump(&mut self, session: &Session, buffer: &mut [u8]) -> Result<Step, Dead> {
        // The exit status comes before the server closes the channel, which may be long after the end of its output.
        if self.channel.as_ref().is_some_and(Channel::eof) {
            let step = self.call(Call::AwaitClose, session, buffer)?;
            if !matches!(step, Step::Idle) {
                return Ok(step);
            }
        }
        let input = if self.written < self.stdin.len() {
            Some(Call::Write)
        } else if self.eof_sent {
            None
        } else {
            Some(Call::SendEof)
        };
        let mut progress = false;
        for call in input.into_iter().chain([Call::Read(0), Call::Read(1)]) {
            match self.call(call, session, buffer)? {
                Step::Progress => progress = true,
                Step::Idle => {}
                step @ (Step::Pinned(_) | Step::NoRoom) => return Ok(step),
            }
        }
        // The end of the output may have come with these reads, and the close with it: nothing more would wake us.
        let ended = self.channel.as_ref().is_some_and(Channel::eof);
        progress |= ended && !self.ended;
        self.ended = ended;
        Ok(if progress { Step::Progress } else { Step::Idle })
    }

    fn call(&mut self, call: Call, session: &Session, buffer: &mut [u8]) -> Result<Step, Dead> {
        let result = match call {
            Call::Open => self.open(session),
            Call::Exec => self.exec(),
            Call::Write => self.write(session),
            Call::SendEof => self.send_eof(),
            Call::Read(stream) => self.read(stream, session, buffer),
            Call::AwaitClose => self.await_close(),
            Call::Close => self.close(),
        };
        match result {
            Ok(true) => Ok(Step::Progress),
            Ok(false) => Ok(Step::Idle),
            Err(error) if error.code() == AGAIN => Ok(match session.block_directions() {
                BlockDirections::Outbound | BlockDirections::Both => Step::Pinned(call),
                BlockDirections::None | BlockDirections::Inbound => Step::Idle,
            }),
            Err(error) => self.setback(call, &error),
        }
    }

    /// An error of libssh2: of this channel, or of the whole session.
    fn setback(&mut self, call: Call, error: &ssh2::Error) -> Result<Step, Dead> {
        match (call, error.code()) {
            // LIBSSH2_ERROR_CHANNEL_FAILURE: MaxSessions is reached.
            (Call::Open, ErrorCode::Session(-21)) => Ok(Step::NoRoom),
            // LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED.
            (Call::Exec, ErrorCode::Session(-22)) => {
                self.started = None;
                self.fail(Failure::Declined(error.message().to_owned()));
                self.turn_to_closing(Instant::now());
                Ok(Step::Progress)
            }
            (Call::Write | Call::SendEof, ErrorCode::Session(code))
                if CHANNEL_SHUT.contains(&code) =>
            {
                // The command ended without reading all of its input, which is its right.
                self.written = self.stdin.len();
                self.eof_sent = true;
                Ok(Step::Progress)
            }
            _ => Err(Dead),
        }
    }

    fn open(&mut self, session: &Session) -> Result<bool, ssh2::Error> {
        self.channel = Some(session.channel_session()?);
        self.stage = Stage::Exec;
        Ok(true)
    }

    fn exec(&mut self) -> Result<bool, ssh2::Error> {
        // From the first attempt on it may run.
        self.started.get_or_insert_with(Instant::now);
        let channel = self.channel.as_mut().ok_or_else(ssh2::Error::unknown)?;
        channel.exec(&self.line)?;
        if self.stage == Stage::Exec {
            self.stage = Stage::Run;
        }
        Ok(true)
    }

    fn write(&mut self, session: &Session) -> Result<bool, ssh2::Error> {
        let end = (self.written + WRITE_CHUNK).min(self.stdin.len());
        let chunk = self.written..end;
        let channel = self.channel.as_mut().ok_or_else(ssh2::Error::unknown)?;
        let count = channel
            .write(&self.stdin[chunk])
            .map_err(|e| raw(&e, session))?;
        self.written += count;
        Ok(count > 0)
    }

    fn send_eof(&mut self) -> Result<bool, ssh2::Error> {
        self.channel()?.send_eof()?;
        self.eof_sent = true;
        Ok(true)
    }

    fn read(
        &mut self,
        stream: i32,
        session: &Session,
        buffer: &mut [u8],
    ) -> Result<bool, ssh2::Error> {
        let count = self
            .channel()?
            .stream(stream)
            .read(buffer)
            .map_err(|e| raw(&e, session))?;
        let kept = if stream == 0 {
            &mut self.stdout
        } else {
            &mut self.stderr
        };
        kept.extend_from_slice(&buffer[..count]);
        Ok(count > 0)
    }

    fn await_close(&mut self) -> Result<bool, ssh2::Error> {
        self.channel()?.wait_close()?;
        let signal = self.channel()?.exit_signal()?.exit_signal;
        let code = self.channel()?.exit_status()?;
        let ran = self.started.map_or(Duration::ZERO, |at| at.elapsed());
        // `timeout` answers 124, or 137 when its second signal was needed.
        let ended = matches!(code, 124 | 137) || signal.as_deref() == Some("KILL");
        let answer = if ended && ran >= self.limit {
            Err(Failure::TimedOut)
        } else {
            Ok(Output {
                code: if signal.is_some() { -1 } else { code },
                signal,
                stdout: std::mem::take(&mut self.stdout),
                stderr: std::mem::take(&mut self.stderr),
            })
        };
        if let Some(reply) = self.reply.take() {
            let _ = reply.send(answer);
        }
        self.turn_to_closing(Instant::now());
        Ok(true)
    }

    fn close(&mut self) -> Result<bool, ssh2::Error> {
        self.channel()?.close()?;
        // Freed here, on the session's own thread, with nothing left to send.
        self.channel = None;
        self.stage = Stage::Done;
        self.close_by = None;
        Ok(true)
    }

    fn channel(&mut self) -> Result<&mut Channel, ssh2::Error> {
        self.channel.as_mut().ok_or_else(ssh2::Error::unknown)
    }
}

const AGAIN: ErrorCode = ErrorCode::Session(-37);

/// The channel no longer takes data: closed, or end of file sent.
const CHANNEL_SHUT: [i32; 3] = [-26, -27, -25];

/// The crate turns libssh2's codes into I/O errors for streams; the session remembers the code.
fn raw(error: &io::Error, session: &Session) -> ssh2::Error {
    if error.kind() == io::ErrorKind::WouldBlock {
        return ssh2::Error::from_errno(AGAIN);
    }
    ssh2::Error::last_session_error(session)
        .filter(|last| last.code() != AGAIN)
        .unwrap_or_else(|| ssh2::Error::from_errno(ErrorCode::Session(-43)))
}

//! The thread that owns a host's session.
//!
//! `ssh2::Session` claims to be usable from several threads; dropping a channel on another thread corrupts the
//! connection, and a blocking call holds its lock. So one thread owns everything of libssh2 and never blocks in it.

use super::{
    connect::{Connection, KEEPALIVE, connect},
    exchange::{Call, Dead, Exchange, Failure, Job, Step},
    host::Counters,
    target::Target,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    collections::VecDeque,
    io::Read,
    os::unix::net::UnixStream,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

/// Channels at once. sshd's default `MaxSessions` is 10; two stay free for the owner's own multiplexed sessions.
const CHANNELS: usize = 8;

/// Bytes read in one call.
const BUFFER: usize = 128 * 1024;

/// Times that a command is put back because the server had no room, or because the connection broke before it was
/// sent.
const SETBACKS: u32 = 40;

/// Between two attempts to open the only channel. sshd frees a slot a moment after it has closed the last one.
const ROOM_PAUSE: Duration = Duration::from_millis(25);

/// The far end of a [`super::host::SshHost`].
pub(super) struct Actor {
    target: Target,
    jobs: mpsc::Receiver<Job>,
    wake: UnixStream,
    counters: Arc<Counters>,
    queue: VecDeque<Job>,
    buffer: Vec<u8>,
    /// Nobody can send any more.
    orphaned: bool,
}

impl Actor {
    pub(super) fn new(
        target: Target,
        jobs: mpsc::Receiver<Job>,
        wake: UnixStream,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            target,
            jobs,
            wake,
            counters,
            queue: VecDeque::new(),
            buffer: vec![0; BUFFER],
            orphaned: false,
        }
    }

    /// Serves until nobody holds the host any more. A lost connection is made anew by the next command, and only then.
    pub(super) fn run(mut self) {
        loop {
            self.take_jobs();
            if self.orphaned && self.queue.is_empty() {
                return;
            }
            self.queue.retain(|job| !job.reply.is_closed());
            if self.queue.is_empty() {
                self.wait_for_jobs();
                continue;
            }
            self.counters.connected();
            match connect(&self.target) {
                Ok(connection) => self.serve(&connection),
                Err(error) => {
                    let error = Arc::new(error);
                    for job in self.queue.drain(..) {
                        // Whoever left meanwhile needs no answer.
                        let _ = job.reply.send(Err(Failure::Connect(Arc::clone(&error))));
                    }
                }
            }
        }
    }

    fn take_jobs(&mut self) {
        while !self.orphaned {
            match self.jobs.try_recv() {
                Ok(job) => self.queue.push_back(job),
                Err(mpsc::TryRecvError::Empty) => return,
                Err(mpsc::TryRecvError::Disconnected) => self.orphaned = true,
            }
        }
    }

    fn wait_for_jobs(&mut self) {
        let mut fds = [PollFd::new(&self.wake, PollFlags::IN)];
        // An interrupted wait is a wait that ended.
        let _ = poll(&mut fds, None);
        self.drain_wakes();
    }

    fn drain_wakes(&mut self) {
        let mut bytes = [0; 64];
        while matches!(self.wake.read(&mut bytes), Ok(count) if count == bytes.len()) {}
    }

    /// Runs commands over one connection until it breaks or nobody needs it.
    fn serve(&mut self, connection: &Connection) {
        let mut running = Running::default();
        loop {
            self.take_jobs();
            if self.orphaned && self.queue.is_empty() && running.exchanges.is_empty() {
                let session = &connection.session;
                session.set_timeout(1_000);
                session.set_blocking(true);
                // Politeness only; the socket is shut down next.
                let _ = session.disconnect(None, "done", None);
                return;
            }
            let now = Instant::now();
            running.admit(&mut self.queue, &self.counters, now);
            let Ok(progress) = running.round(connection, &mut self.buffer, &mut self.queue, now)
            else {
                running.abandon(&mut self.queue);
                return;
            };
            if !progress && !self.wait(connection, &mut running) {
                running.abandon(&mut self.queue);
                return;
            }
        }
    }

    /// Sleeps until something can go on; false when the connection has ended.
    fn wait(&mut self, connection: &Connection, running: &mut Running) -> bool {
        let now = Instant::now();
        let idle = running.exchanges.is_empty();
        let keepalive_due = now >= running.next_keepalive;
        let socket = if running.pinned.is_some() {
            PollFlags::OUT
        } else if idle {
            // Nothing reads while nothing runs, so only the end of the connection is of interest.
            PollFlags::RDHUP
        } else {
            PollFlags::IN
        };
        // libssh2 forgets a keepalive that it could not send and then waits for it for ever: only send one when the
        // socket has room for it, and nothing else is half sent.
        let keepalive = keepalive_due && running.pinned.is_none();
        let socket = if keepalive {
            socket | PollFlags::OUT
        } else {
            socket
        };
        // An orphan's wake line has ended and would report that for ever.
        let wake = if self.orphaned {
            PollFlags::empty()
        } else {
            PollFlags::IN
        };
        let until = running.next_look(now);
        let timeout = Timespec::try_from(until.saturating_duration_since(now)).ok();
        let mut fds = [
            PollFd::new(&connection.socket, socket),
            PollFd::new(&self.wake, wake),
        ];
        if poll(&mut fds, timeout.as_ref()).is_err() {
            return true;
        }
        let seen = fds[0].revents();
        self.drain_wakes();
        if keepalive && seen.contains(PollFlags::OUT) {
            if connection.session.keepalive_send().is_err() {
                return false;
            }
            running.next_keepalive = now + Duration::from_secs(u64::from(KEEPALIVE));
        }
        !(idle && seen.intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR))
    }
}

/// What goes on over one connection.
struct Running {
    exchanges: Vec<Exchange>,
    /// The exchange and the call that could not send.
    pinned: Option<(usize, Call)>,
    /// Channels that the server grants.
    room: usize,
    not_before: Instant,
    next_keepalive: Instant,
}

impl Default for Running {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            exchanges: Vec::new(),
            pinned: None,
            room: CHANNELS,
            not_before: now,
            next_keepalive: now + Duration::from_secs(u64::from(KEEPALIVE)),
        }
    }
}

impl Running {
    fn admit(&mut self, queue: &mut VecDeque<Job>, counters: &Counters, now: Instant) {
        while now >= self.not_before && self.exchanges.len() < self.room {
            let Some(job) = queue.pop_front() else { return };
            if job.setbacks == 0 {
                counters.executed();
            }
            self.exchanges.push(Exchange::new(job, now));
        }
    }

    /// One turn for every exchange; true when something moved.
    fn round(
        &mut self,
        connection: &Connection,
        buffer: &mut [u8],
        queue: &mut VecDeque<Job>,
        now: Instant,
    ) -> Result<bool, Dead> {
        let session = &connection.session;
        for (index, exchange) in self.exchanges.iter_mut().enumerate() {
            let pinned = self.pinned.is_some_and(|(at, _)| at == index);
            exchange.review(now, pinned)?;
        }
        let mut progress = false;
        if let Some((index, call)) = self.pinned.take() {
            let step = self.exchanges[index].advance(session, buffer, Some(call))?;
            progress |= self.note(index, &step);
            if self.pinned.is_some() {
                return Ok(progress);
            }
            if matches!(step, Step::NoRoom) {
                self.turn_away(index, queue, now);
            }
        }
        let mut opening = false;
        let mut index = 0;
        while index < self.exchanges.len() {
            let exchange = &mut self.exchanges[index];
            // libssh2 keeps the state of an opening in the session: one at a time.
            if exchange.is_opening() && std::mem::replace(&mut opening, true) {
                index += 1;
                continue;
            }
            let step = exchange.advance(session, buffer, None)?;
            progress |= self.note(index, &step);
            if self.pinned.is_some() {
                return Ok(progress);
            }
            if matches!(step, Step::NoRoom) {
                self.turn_away(index, queue, now);
                progress = true;
            } else if self.exchanges[index].is_done() {
                self.exchanges.remove(index);
                progress = true;
            } else {
                index += 1;
            }
        }
        Ok(progress)
    }

    fn note(&mut self, index: usize, step: &Step) -> bool {
        match step {
            Step::Progress => true,
            Step::Idle | Step::NoRoom => false,
            Step::Pinned(call) => {
                self.pinned = Some((index, *call));
                false
            }
        }
    }

    /// The server has no room for this one: it waits until another ends, or a moment.
    fn turn_away(&mut self, index: usize, queue: &mut VecDeque<Job>, now: Instant) {
        let exchange = self.exchanges.remove(index);
        let others = self.exchanges.iter().filter(|e| !e.is_opening()).count();
        self.room = others.max(1);
        if others == 0 {
            self.not_before = now + ROOM_PAUSE;
        }
        let Some(job) = exchange.into_job() else {
            return;
        };
        if job.setbacks > SETBACKS {
            let why = "the server opens no channel for it (MaxSessions?)".to_owned();
            let _ = job.reply.send(Err(Failure::Declined(why)));
        } else {
            queue.push_front(job);
        }
    }

    /// The connection is gone: what was sent is lost, what was not goes back to the queue.
    fn abandon(&mut self, queue: &mut VecDeque<Job>) {
        for mut exchange in self.exchanges.drain(..).rev() {
            if exchange.is_sent() {
                exchange.fail(Failure::Lost);
                continue;
            }
            match exchange.into_job() {
                Some(job) if job.setbacks > 2 => {
                    let _ = job.reply.send(Err(Failure::Lost));
                }
                Some(job) => queue.push_front(job),
                None => {}
            }
        }
    }

    /// When to look again though nothing happened.
    fn next_look(&self, now: Instant) -> Instant {
        let deadlines = self.exchanges.iter().map(Exchange::deadline);
        let room = Some(self.not_before).filter(|at| *at > now);
        let keepalive = if self.next_keepalive > now {
            self.next_keepalive
        } else {
            // Due, and the socket has no room: try again soon.
            now + Duration::from_secs(1)
        };
        deadlines.chain(room).fold(keepalive, Instant::min) + Duration::from_millis(1)
    }
}

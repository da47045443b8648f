//! Logging in with keys: the agent's and files'. Everything that was tried is told when nothing worked.

use super::{error::ConnectError, host_key::HostKey};
use ssh2::{Agent, ErrorCode, PublicKey, Session};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Keys that are offered at most; sshd's default `MaxAuthTries` is 6, and the last word should be ours.
const OFFERS: usize = 5;

/// libssh2's code for a server that hung up.
const DISCONNECTED: [i32; 3] = [-7, -13, -43];

/// Who logs in, and with what.
pub(super) struct Login<'a> {
    /// Login name.
    pub(super) user: &'a str,
    /// Key files, the best first.
    pub(super) files: &'a [PathBuf],
    /// The files are the owner's choice: nothing else is offered.
    pub(super) only_files: bool,
    /// The agent's socket.
    pub(super) agent: Option<&'a Path>,
}

/// What became of one key.
enum Offer {
    Accepted,
    Declined(String),
    HungUp(String),
}

impl Login<'_> {
    /// Offers keys until one is accepted.
    pub(super) fn perform(&self, session: &Session, place: &str) -> Result<(), ConnectError> {
        let mut tried: Vec<String> = Vec::new();
        let (mut agent, trouble) = match self.agent.map(|socket| open_agent(session, socket)) {
            Some(Ok(agent)) => (Some(agent), None),
            Some(Err(error)) => (None, Some(format!("the agent: {}", error.message()))),
            None => (None, None),
        };
        tried.extend(trouble);
        let held = agent
            .as_mut()
            .and_then(|agent| agent.identities().ok())
            .unwrap_or_default();
        let mut offered = 0;
        let from_agent = held.iter().filter(|_| !self.only_files).map(Key::Held);
        let from_files = self.files.iter().map(Key::File);
        for key in from_agent.chain(from_files) {
            if offered == OFFERS {
                tried.push(format!("no more than {OFFERS} keys are offered"));
                break;
            }
            let offer = match key {
                Key::Held(held) => self.offer_held(session, agent.as_ref(), held),
                Key::File(path) => match self.offer_file(session, path, agent.as_ref(), &held) {
                    Some(offer) => offer,
                    None => continue,
                },
            };
            offered += 1;
            match offer {
                Offer::Accepted => return Ok(()),
                Offer::Declined(what) => tried.push(what),
                Offer::HungUp(what) => {
                    tried.push(what);
                    break;
                }
            }
        }
        if tried.is_empty() {
            tried.push("there is no key to offer: no agent, no key file".to_owned());
        } else if let Ok(methods) = session.auth_methods(self.user) {
            tried.push(format!("the server accepts {methods}"));
        }
        Err(ConnectError::Refused {
            address: place.to_owned(),
            user: self.user.to_owned(),
            why: tried.join("; "),
        })
    }

    fn offer_held(&self, session: &Session, agent: Option<&Agent>, held: &PublicKey) -> Offer {
        let name = HostKey::from_blob(held.blob()).map_or_else(
            || format!("agent key {}", held.comment()),
            |key| format!("agent key {key:?} {}", held.comment()),
        );
        match agent.map(|agent| agent.userauth(self.user, held)) {
            Some(Ok(())) => Offer::Accepted,
            Some(Err(error)) => declined(session, &name, &error),
            None => Offer::Declined(format!("{name}: the agent is gone")),
        }
    }

    /// None when a default key file does not exist, which is no news.
    fn offer_file(
        &self,
        session: &Session,
        path: &Path,
        agent: Option<&Agent>,
        held: &[PublicKey],
    ) -> Option<Offer> {
        let name = format!("key file {}", path.display());
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.only_files => {
                return None;
            }
            Err(error) => return Some(Offer::Declined(format!("{name}: {error}"))),
        };
        if is_locked(&text) {
            // The agent may hold it unlocked.
            let public = ssh_key::PrivateKey::from_openssh(&text)
                .ok()
                .and_then(|key| key.public_key().to_bytes().ok());
            return Some(
                match held
                    .iter()
                    .find(|held| Some(held.blob()) == public.as_deref())
                {
                    Some(held) => self.offer_held(session, agent, held),
                    None => Offer::Declined(format!(
                        "{name}: it has a passphrase; run `ssh-add {}`",
                        path.display()
                    )),
                },
            );
        }
        Some(
            match session.userauth_pubkey_file(self.user, None, path, None) {
                Ok(()) => Offer::Accepted,
                Err(error) => declined(session, &name, &error),
            },
        )
    }
}

enum Key<'a> {
    Held(&'a PublicKey),
    File(&'a PathBuf),
}

fn open_agent(session: &Session, socket: &Path) -> Result<Agent, ssh2::Error> {
    let mut agent = session.agent()?;
    agent.set_identity_path(socket)?;
    agent.connect()?;
    agent.list_identities()?;
    Ok(agent)
}

fn declined(session: &Session, name: &str, error: &ssh2::Error) -> Offer {
    let what = format!("{name}: {}", error.message());
    match error.code() {
        ErrorCode::Session(code) if DISCONNECTED.contains(&code) => Offer::HungUp(what),
        // Verified too late or not listed in authorized_keys: the usual refusal.
        ErrorCode::Session(-18 | -19) if !session.authenticated() => {
            Offer::Declined(format!("{name}: refused"))
        }
        ErrorCode::Session(_) | ErrorCode::SFTP(_) => Offer::Declined(what),
    }
}

/// Whether a private key needs a passphrase. libssh2 would call that "unable to extract public key".
fn is_locked(text: &str) -> bool {
    if text.contains("Proc-Type: 4,ENCRYPTED") || text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
        return true;
    }
    ssh_key::PrivateKey::from_openssh(text).is_ok_and(|key| key.is_encrypted())
}

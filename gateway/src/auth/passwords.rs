//! Hashes of passwords (argon2id), which are checked by few threads of low priority.
//!
//! Invariant: a check takes memory and milliseconds of a processor by design, so checks never run on a thread that serves
//! connections, and a bounded number waits. A password that was right is recognized for some minutes by a keyed digest, so a
//! program that sends it with each request costs one check.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use tokio::sync::oneshot;

use super::tokens::{ProcessKey, random};
use crate::tuning;

/// Hashes a password with the parameters that OWASP recommends (19 MiB, 2 passes).
pub fn hash(password: &str) -> String {
    hash_with(&Argon2::default(), password)
}

/// A hash that costs nothing, for tests.
#[doc(hidden)]
pub fn hash_lightly(password: &str) -> String {
    let params = Params::new(8, 1, 1, None).expect("the least parameters");
    hash_with(&Argon2::new(Algorithm::Argon2id, Version::V0x13, params), password)
}

fn hash_with(argon2: &Argon2<'_>, password: &str) -> String {
    let hash: PasswordHash = argon2
        .hash_password_with_salt(password.as_bytes(), &random::<16>())
        .expect("a salt of 16 bytes and valid parameters");
    hash.to_string()
}

/// Checks that a text is a hash of a password.
///
/// # Errors
///
/// What it is not, to follow the name of what it belongs to.
pub fn check_hash(text: &str) -> Result<(), String> {
    let no_hash = || "is no hash; `proscenium user add` makes one".to_owned();
    let hash = PasswordHash::new(text).map_err(|_| no_hash())?;
    if hash.algorithm.as_str() != "argon2id" || hash.hash.is_none() {
        return Err("is no hash of argon2id; `proscenium user add` makes one".to_owned());
    }
    let params = Params::try_from(&hash).map_err(|_| no_hash())?;
    if params.m_cost() > tuning::PASSWORD_KIB || params.t_cost() > tuning::PASSWORD_PASSES {
        return Err(format!(
            "takes more than {} KiB or {} passes to check",
            tuning::PASSWORD_KIB,
            tuning::PASSWORD_PASSES
        ));
    }
    Ok(())
}

fn is_right(password: &str, hash: &str) -> bool {
    let hash = PasswordHash::new(hash);
    hash.is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// More passwords wait to be checked than may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull;

struct Job {
    password: String,
    hash: String,
    reply: oneshot::Sender<bool>,
}

/// Checks passwords.
#[derive(Debug)]
pub struct PasswordChecker {
    jobs: SyncSender<Job>,
    process_key: ProcessKey,
    /// Digests of passwords that were right, and until when they are recognized.
    recognized: Mutex<HashMap<[u8; 32], Instant>>,
}

impl PasswordChecker {
    /// Starts the threads, which end when this is dropped.
    ///
    /// # Errors
    ///
    /// A thread cannot be started.
    pub fn start() -> std::io::Result<PasswordChecker> {
        let (jobs, queue) = sync_channel(tuning::WAITING_PASSWORDS);
        let queue = Arc::new(Mutex::new(queue));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..(cores / 4).clamp(1, 4) {
            let queue = queue.clone();
            std::thread::Builder::new().name("passwords".into()).spawn(move || check_all(&queue))?;
        }
        Ok(PasswordChecker { jobs, process_key: ProcessKey::default(), recognized: Mutex::default() })
    }

    /// The digest by which a password is recognized.
    fn tag(&self, name: &str, password: &str, hash: &str) -> [u8; 32] {
        self.process_key.tag(&[name, password, hash])
    }

    /// Whether the password was right before.
    pub fn is_recognized(&self, name: &str, password: &str, hash: &str) -> bool {
        let tag = self.tag(name, password, hash);
        let recognized = self.recognized.lock().unwrap_or_else(PoisonError::into_inner);
        recognized.get(&tag).is_some_and(|until| *until > Instant::now())
    }

    /// Whether a password is the one that was hashed.
    ///
    /// # Errors
    ///
    /// Too many wait already.
    pub async fn check(&self, name: &str, password: &str, hash: &str) -> Result<bool, QueueFull> {
        let (reply, is_right) = oneshot::channel();
        let job = Job { password: password.to_owned(), hash: hash.to_owned(), reply };
        match self.jobs.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => return Err(QueueFull),
        }
        let is_right = is_right.await.unwrap_or(false);
        if is_right {
            let (tag, now) = (self.tag(name, password, hash), Instant::now());
            let mut recognized = self.recognized.lock().unwrap_or_else(PoisonError::into_inner);
            if recognized.len() >= tuning::RECOGNIZED_PASSWORDS {
                recognized.retain(|_, until| *until > now);
            }
            if recognized.len() < tuning::RECOGNIZED_PASSWORDS {
                recognized.insert(tag, now + tuning::RECOGNIZED_PASSWORD);
            }
        }
        Ok(is_right)
    }
}

fn check_all(queue: &Mutex<Receiver<Job>>) {
    // Deliveries come first. Elsewhere than on Linux it would apply to the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(tuning::PASSWORD_NICENESS) {
        tracing::debug!(%error, "the priority of a thread that checks passwords could not be lowered");
    }
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { password, hash, reply }) = job else { return };
        if !reply.is_closed() {
            // The asker may have left.
            let _ = reply.send(is_right(&password, &hash));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_checked_once_and_recognized_then() {
        let checker = PasswordChecker::start().unwrap();
        let hash = hash_lightly("right");
        assert_eq!(checker.check("ann", "wrong", &hash).await, Ok(false));
        assert!(!checker.is_recognized("ann", "right", &hash));
        assert_eq!(checker.check("ann", "right", &hash).await, Ok(true));
        assert!(checker.is_recognized("ann", "right", &hash));
        assert!(!checker.is_recognized("ann", "wrong", &hash));
        assert!(!checker.is_recognized("ann", "right", &hash_lightly("right")), "the password was set anew");
    }

    #[test]
    fn only_hashes_of_argon2id_of_a_bearable_cost_are_hashes() {
        assert_eq!(check_hash(&hash_lightly("p")), Ok(()));
        for text in [
            "",
            "secret",
            "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ",
            "$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg",
            "$argon2id$v=19$m=999999999,t=1,p=1$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg",
            "$argon2id$v=19$m=8,t=99999,p=1$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg",
        ] {
            assert!(check_hash(text).is_err(), "{text}");
        }
    }
}

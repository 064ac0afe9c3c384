//! A thread pool for long work on immutable data: creating tables from bytes, building views, encoding large replies.
//!
//! Invariant: a job owns its data and delivers its own result. A job that panics resolves to [`ActorError::Gone`] and
//! does not end its thread. Workers run at a lower priority than other threads, so that a large build or export uses
//! the time that updates and sockets leave over; there are more of them than cores, so that a small job does not wait
//! for two large ones. The queue itself is unbounded: its length is bounded by the callers (one build per view, the
//! requests in flight per session).

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::error::{ActorError, Result};
use crate::tuning;

type Job = Box<dyn FnOnce() + Send>;

/// A handle of the pool, whose threads end when the last handle is dropped.
#[derive(Debug, Clone)]
pub struct Workers {
    jobs: Sender<Job>,
}

impl Workers {
    /// Starts the pool with two threads for each of `threads`.
    ///
    /// # Errors
    ///
    /// The operating system cannot start a thread.
    pub fn start(threads: usize) -> std::io::Result<Workers> {
        let (jobs, queue) = channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..tuning::WORKERS_PER_CORE * threads.max(1) {
            let queue = queue.clone();
            std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .stack_size(tuning::WORKER_STACK_BYTES)
                .spawn(move || work(&queue))?;
        }
        Ok(Workers { jobs })
    }

    /// Runs `job` and resolves to its result, or to [`ActorError::Gone`] if it panics.
    pub fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Result<T>> + Send + 'static {
        let (sender, receiver) = oneshot::channel();
        self.start_job(move || {
            // The caller may have dropped its future.
            let _ = sender.send(job());
        });
        async move { receiver.await.map_err(|_| ActorError::Gone) }
    }

    /// Runs `job`, which delivers its result itself.
    pub fn start_job(&self, job: impl FnOnce() + Send + 'static) {
        // The threads end only with the process; otherwise the job would be dropped, and its replies with it.
        let _ = self.jobs.send(Box::new(job));
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    lower_priority();
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("a worker's job panicked");
        }
    }
}

/// Lowers the priority of this thread and of those that it starts. Linux only: elsewhere it would apply to the process.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(tuning::WORKER_NICENESS) {
        tracing::debug!(%error, "the priority of a worker thread could not be lowered");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix::test]
    async fn a_panicking_job_resolves_to_gone_and_its_thread_continues() {
        let workers = Workers::start(1).unwrap();
        assert_eq!(workers.run(|| -> u32 { panic!("on purpose") }).await, Err(ActorError::Gone));
        assert_eq!(workers.run(|| 3).await, Ok(3));
    }
}

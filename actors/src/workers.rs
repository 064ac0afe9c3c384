//! Threads for work on immutable data: making tables from bytes, building views, writing large answers.
//!
//! Law: a job owns what it needs and tells its result itself; a job that panics is reported as gone and takes no thread
//! with it. Worker threads stand behind all others for a processor, so that a big build or export takes the time that
//! updates and sockets leave; there are more of them than cores, so that a small job does not wait for two big ones. How
//! many jobs wait is bounded by those who order them (one build per view, the requests in flight per session).

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::error::{ActorError, Result};
use crate::tuning;

/// Workers for each core: the system shares the cores among them.
const WORKERS_A_CORE: usize = 2;

/// A tenth of the processor time that a thread of the doors and tables gets when both want it.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// The pool. Its threads end when the last clone is gone.
#[derive(Debug, Clone)]
pub struct Workers {
    jobs: Sender<Job>,
}

impl Workers {
    /// Errors when the system gives no threads.
    pub fn start(threads: usize) -> std::io::Result<Workers> {
        let (jobs, queue) = channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..WORKERS_A_CORE * threads.max(1) {
            let queue = queue.clone();
            std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .stack_size(tuning::WORKER_STACK_BYTES)
                .spawn(move || work(&queue))?;
        }
        Ok(Workers { jobs })
    }

    /// Runs `job`; its result, or [`ActorError::Gone`] when it panics.
    pub fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Result<T>> + Send + 'static {
        let (sender, receiver) = oneshot::channel();
        self.start_job(move || {
            // Nobody waits any more: the result is not needed.
            let _ = sender.send(job());
        });
        async move { receiver.await.map_err(|_| ActorError::Gone) }
    }

    /// Runs `job`, which tells its result itself.
    pub fn start_job(&self, job: impl FnOnce() + Send + 'static) {
        // Without threads (they end only with the process) the job is dropped, and so are its replies.
        let _ = self.jobs.send(Box::new(job));
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    stand_back();
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("a worker's job panicked");
        }
    }
}

/// This thread, and those that it starts, give way to others. (Elsewhere than on Linux that is a property of the whole
/// process.)
fn stand_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "a worker runs like any other thread");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix::test]
    async fn a_panicking_job_is_gone_and_its_thread_goes_on() {
        let workers = Workers::start(1).unwrap();
        assert_eq!(workers.run(|| -> u32 { panic!("on purpose") }).await, Err(ActorError::Gone));
        assert_eq!(workers.run(|| 3).await, Ok(3));
    }
}

//! A thread pool for long work: creating tables from bytes, building views, encoding large replies, and steps of actors
//! that would hold their thread for long.
//!
//! Invariant: a job owns its data and delivers its own result. A job that panics resolves to [`ActorError::Gone`] and
//! does not end its thread. Waiting jobs are taken round robin between their owners ([`fair_queue`]), and one owner runs
//! no more than [`WorkerBounds::per_owner`] at a time, so that no client waits for the queue of another. Threads are
//! started when a job may run and all others are busy, up to [`WorkerBounds::most_threads`]: a short job does not wait
//! for long ones, which the operating system runs beside it. Workers run at a lower priority than other threads, so that
//! a large build or export uses the time that updates and sockets leave over. The length of the queue is bounded by the
//! callers (one build per view, the requests in flight per session).

mod fair_queue;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::error::{ActorError, Result};
use crate::outbox::{SessionId, StreamId};
use crate::tuning;
pub use fair_queue::FairQueue;

type Job = Box<dyn FnOnce() + Send>;

/// Whom a job is for: jobs of different owners do not wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobOwner {
    /// The server itself, such as memory that is freed.
    Server,
    /// A table: writes, and steps of the views that its clients share.
    Table(StreamId),
    /// A connection: what it alone asked for.
    Session(SessionId),
    /// All senders without a connection (HTTP, Flight) together.
    Connectionless,
    /// The log: large records, whose jobs wait for the disk. No other job waits for them.
    Log,
}

impl JobOwner {
    /// The owner of what `asker` asks for.
    pub fn of(asker: Option<SessionId>) -> JobOwner {
        asker.map_or(JobOwner::Connectionless, JobOwner::Session)
    }

    /// Jobs that it may take in one turn.
    fn weight(self) -> usize {
        match self {
            // What many clients wait for.
            JobOwner::Server | JobOwner::Table(_) | JobOwner::Connectionless | JobOwner::Log => {
                tuning::SHARED_WORK_WEIGHT
            }
            JobOwner::Session(_) => 1,
        }
    }
}

/// Bounds of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerBounds {
    /// Threads that are kept when there is no work.
    pub threads: usize,
    /// Threads that run jobs at a time.
    pub most_threads: usize,
    /// Jobs that one owner runs at a time.
    pub per_owner: usize,
}

impl WorkerBounds {
    /// The bounds for so many cores.
    pub fn for_cores(cores: usize) -> WorkerBounds {
        let cores = cores.max(1);
        WorkerBounds {
            threads: tuning::WORKERS_PER_CORE * cores,
            most_threads: tuning::MOST_WORKERS_PER_CORE * cores,
            per_owner: cores,
        }
    }
}

/// A handle of the pool, whose threads end when the last handle is dropped and no job waits.
#[derive(Debug, Clone)]
pub struct Workers(Arc<PoolHandle>);

#[derive(Debug)]
struct PoolHandle(Arc<Pool>);

impl Drop for PoolHandle {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_all();
    }
}

#[derive(Debug)]
struct Pool {
    bounds: WorkerBounds,
    state: Mutex<PoolState>,
    changed: Condvar,
}

struct PoolState {
    queue: FairQueue<JobOwner, Job>,
    threads: usize,
    idle: usize,
    is_closed: bool,
}

impl std::fmt::Debug for PoolState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} threads idle", self.idle, self.threads)
    }
}

impl Workers {
    /// Starts the pool for so many cores.
    ///
    /// # Errors
    ///
    /// The operating system cannot start a thread.
    pub fn start(cores: usize) -> std::io::Result<Workers> {
        Workers::start_within(WorkerBounds::for_cores(cores))
    }

    /// Starts a pool with these bounds.
    ///
    /// # Errors
    ///
    /// The operating system cannot start a thread.
    pub fn start_within(bounds: WorkerBounds) -> std::io::Result<Workers> {
        let queue = FairQueue::new(bounds.per_owner);
        let state = PoolState { queue, threads: 0, idle: 0, is_closed: false };
        let pool = Arc::new(Pool { bounds, state: Mutex::new(state), changed: Condvar::new() });
        for _ in 0..bounds.threads.max(1) {
            pool.lock().threads += 1;
            pool.start_thread()?;
        }
        Ok(Workers(Arc::new(PoolHandle(pool))))
    }

    /// Runs `job` and resolves to its result, or to [`ActorError::Gone`] if it panics.
    pub fn run<T: Send + 'static>(
        &self,
        owner: JobOwner,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Result<T>> + Send + 'static {
        let (sender, receiver) = oneshot::channel();
        self.start_job(owner, move || {
            // The caller may have dropped its future.
            let _ = sender.send(job());
        });
        async move { receiver.await.map_err(|_| ActorError::Gone) }
    }

    /// Runs `job`, which delivers its result itself.
    pub fn start_job(&self, owner: JobOwner, job: impl FnOnce() + Send + 'static) {
        let pool = &self.0.0;
        let mut state = pool.lock();
        state.queue.push(owner, owner.weight(), Box::new(job));
        pool.wake(state);
    }
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes or starts a thread if there is a job for it.
    fn wake(self: &Arc<Self>, mut state: MutexGuard<'_, PoolState>) {
        if !state.queue.is_ready() {
            return;
        }
        if state.idle > 0 {
            drop(state);
            return self.changed.notify_one();
        }
        if state.threads < self.bounds.most_threads {
            state.threads += 1;
            drop(state);
            if let Err(error) = self.start_thread() {
                tracing::warn!(%error, "a further worker thread could not be started");
            }
        }
    }

    /// Starts a thread that is counted already.
    fn start_thread(self: &Arc<Self>) -> std::io::Result<()> {
        let pool = self.clone();
        let started = std::thread::Builder::new()
            .name("worker".to_owned())
            .stack_size(tuning::WORKER_STACK_BYTES)
            .spawn(move || pool.work());
        if started.is_err() {
            self.lock().threads -= 1;
        }
        started.map(drop)
    }

    fn work(self: Arc<Self>) {
        lower_priority();
        let mut state = self.lock();
        loop {
            if let Some((owner, job)) = state.queue.take() {
                // There may be more than one job and one thread was woken.
                self.wake(state);
                if catch_unwind(AssertUnwindSafe(job)).is_err() {
                    tracing::error!("a worker's job panicked");
                }
                state = self.lock();
                state.queue.finish(&owner);
                continue;
            }
            if state.is_closed {
                state.threads -= 1;
                return;
            }
            state.idle += 1;
            let waited = self.changed.wait_timeout(state, tuning::IDLE_WORKER);
            let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if timeout.timed_out() && !state.queue.is_ready() && state.threads > self.bounds.threads {
                state.threads -= 1;
                return;
            }
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
    use std::sync::mpsc::channel;

    use super::*;

    #[actix::test]
    async fn a_panicking_job_resolves_to_gone_and_its_thread_continues() {
        let workers = Workers::start(1).unwrap();
        let run = async |workers: &Workers, job: fn() -> u32| workers.run(JobOwner::Server, job).await;
        assert_eq!(run(&workers, || panic!("on purpose")).await, Err(ActorError::Gone));
        assert_eq!(run(&workers, || 3).await, Ok(3));
    }

    #[actix::test]
    async fn a_job_does_not_wait_for_the_long_ones_of_another_session() {
        let workers = Workers::start(1).unwrap();
        let (gate, opened) = channel::<()>();
        let opened = Arc::new(Mutex::new(opened));
        let greedy = JobOwner::Session(SessionId::fresh());
        for _ in 0..2000 {
            let opened = opened.clone();
            workers.start_job(greedy, move || {
                // Ends when the gate is dropped.
                let _ = opened.lock().unwrap().recv();
            });
        }
        assert_eq!(workers.run(JobOwner::Session(SessionId::fresh()), || 1).await, Ok(1));
        drop(gate);
        assert_eq!(workers.run(greedy, || 2).await, Ok(2));
    }

    #[actix::test]
    async fn jobs_are_run_when_every_kept_thread_is_busy() {
        let bounds = WorkerBounds { threads: 1, most_threads: 4, per_owner: 1 };
        let workers = Workers::start_within(bounds).unwrap();
        let (gate, opened) = channel::<()>();
        workers.start_job(JobOwner::Session(SessionId::fresh()), move || {
            // Ends when the gate is dropped.
            let _ = opened.recv();
        });
        assert_eq!(workers.run(JobOwner::Server, || 1).await, Ok(1));
        drop(gate);
    }
}

//! A queue of jobs that is fair between their owners: weighted round robin.
//!
//! Invariant: the jobs of one owner are taken in the order in which they were pushed. An owner that may run a job waits
//! for at most one turn of every other owner, whatever the lengths of their queues. No owner runs more jobs at a time
//! than the queue allows.
//!
//! Cost: O(1) for each operation. An owner without jobs takes no memory.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Jobs `J` of owners `O`.
#[derive(Debug)]
pub struct FairQueue<O, J> {
    owners: HashMap<O, OwnerJobs<J>>,
    /// The owners that wait and may run a job, each once, in the order of their turns.
    turns: VecDeque<O>,
    most_running: usize,
}

/// The jobs of one owner. Exists while it has waiting or running ones.
#[derive(Debug)]
struct OwnerJobs<J> {
    waiting: VecDeque<J>,
    running: usize,
    weight: usize,
    /// Jobs taken in the present turn; reset when the turn ends.
    taken: usize,
    /// Whether it is among the turns. Set by `queue_turn`, cleared when a job is taken and no other may follow.
    has_turn: bool,
}

impl<O: Clone + Eq + Hash, J> FairQueue<O, J> {
    /// Creates an empty queue, in which each owner runs up to `most_running` jobs at a time (at least one).
    pub fn new(most_running: usize) -> Self {
        FairQueue { owners: HashMap::new(), turns: VecDeque::new(), most_running: most_running.max(1) }
    }

    /// Appends a job. `weight`: how many jobs the owner may take in one turn (at least one); the last one given counts.
    pub fn push(&mut self, owner: O, weight: usize, job: J) {
        let jobs = self.owners.entry(owner.clone()).or_insert_with(|| OwnerJobs {
            waiting: VecDeque::new(),
            running: 0,
            weight,
            taken: 0,
            has_turn: false,
        });
        jobs.weight = weight.max(1);
        jobs.waiting.push_back(job);
        self.queue_turn(&owner);
    }

    /// Takes the next job that may run. [`FairQueue::finish`] must follow once it has ended.
    pub fn take(&mut self) -> Option<(O, J)> {
        let owner = self.turns.pop_front()?;
        let jobs = self.owners.get_mut(&owner).expect("an owner with a turn has a waiting job");
        let job = jobs.waiting.pop_front().expect("an owner with a turn has a waiting job");
        jobs.has_turn = false;
        jobs.running += 1;
        jobs.taken += 1;
        if jobs.taken < jobs.weight && jobs.may_run(self.most_running) {
            jobs.has_turn = true;
            self.turns.push_front(owner.clone());
        } else {
            jobs.taken = 0;
            self.queue_turn(&owner);
        }
        Some((owner, job))
    }

    /// Notes that a job of an owner has ended.
    pub fn finish(&mut self, owner: &O) {
        let Some(jobs) = self.owners.get_mut(owner) else { return };
        jobs.running = jobs.running.saturating_sub(1);
        if jobs.running == 0 && jobs.waiting.is_empty() {
            self.owners.remove(owner);
        } else {
            self.queue_turn(owner);
        }
    }

    /// Whether a job waits that may run.
    pub fn is_ready(&self) -> bool {
        !self.turns.is_empty()
    }

    /// Number of jobs that wait, those of owners that may not run another one included. Cost: O(owners).
    pub fn num_waiting(&self) -> usize {
        self.owners.values().map(|jobs| jobs.waiting.len()).sum()
    }

    /// Gives the owner a turn, after all others, if it may run a job and has no turn yet.
    fn queue_turn(&mut self, owner: &O) {
        let most_running = self.most_running;
        if let Some(jobs) =
            self.owners.get_mut(owner).filter(|jobs| !jobs.has_turn && jobs.may_run(most_running))
        {
            jobs.has_turn = true;
            self.turns.push_back(owner.clone());
        }
    }
}

impl<J> OwnerJobs<J> {
    fn may_run(&self, most_running: usize) -> bool {
        !self.waiting.is_empty() && self.running < most_running
    }
}

#[cfg(test)]
mod tests {
    use proscenium_engine::testing::Random;

    use super::*;

    #[test]
    fn the_first_job_of_an_owner_waits_for_one_of_every_other() {
        let mut queue = FairQueue::new(usize::MAX);
        for number in 0..2000 {
            queue.push("greedy", 1, number);
        }
        queue.push("modest", 1, 0);
        assert_eq!(queue.take(), Some(("greedy", 0)));
        assert_eq!(queue.take(), Some(("modest", 0)));
        assert_eq!(queue.take(), Some(("greedy", 1)));
    }

    #[test]
    fn a_heavier_owner_takes_more_jobs_in_its_turn() {
        let mut queue = FairQueue::new(usize::MAX);
        for number in 0..6 {
            queue.push("light", 1, number);
            queue.push("heavy", 3, number);
        }
        let taken: Vec<&str> = std::iter::from_fn(|| queue.take()).map(|(owner, _)| owner).collect();
        let expected =
            [["light"].as_slice(), &["heavy"; 3], &["light"], &["heavy"; 3], &["light"; 4]].concat();
        assert_eq!(taken, expected);
    }

    #[test]
    fn an_owner_runs_no_more_jobs_than_allowed() {
        let mut queue = FairQueue::new(2);
        for number in 0..3 {
            queue.push("a", 1, number);
        }
        assert_eq!((queue.take(), queue.take(), queue.take()), (Some(("a", 0)), Some(("a", 1)), None));
        assert!(!queue.is_ready());
        assert_eq!(queue.num_waiting(), 1);
        queue.finish(&"a");
        assert_eq!(queue.take(), Some(("a", 2)));
    }

    /// Random pushes, takes and ends, beside a slow model: a list of all waiting jobs.
    #[test]
    fn random_histories_keep_order_bounds_and_turns() {
        for seed in 0..300 {
            let mut random = Random::new(seed);
            let most_running = 1 + random.number() as usize % 3;
            let weight = |owner: usize| 1 + owner % 3;
            let mut queue = FairQueue::new(most_running);
            let mut waiting: Vec<VecDeque<u64>> = vec![VecDeque::new(); 5];
            let mut running = [0_usize; 5];
            // Jobs of others that were taken since the owner became able to run one.
            let mut waited = [0_usize; 5];
            for number in 0..400 {
                match random.number() % 5 {
                    0 | 1 => {
                        // The first owner has most of the jobs.
                        let owner = (random.number() as usize % 10).saturating_sub(5);
                        queue.push(owner, weight(owner), number);
                        waiting[owner].push_back(number);
                    }
                    2 | 3 => {
                        let able: Vec<usize> = (0..5)
                            .filter(|owner| !waiting[*owner].is_empty() && running[*owner] < most_running)
                            .collect();
                        let taken = queue.take();
                        assert_eq!(taken.is_some(), !able.is_empty(), "seed {seed}, step {number}");
                        let Some((owner, job)) = taken else { continue };
                        assert!(able.contains(&owner), "seed {seed}, step {number}");
                        assert_eq!(waiting[owner].pop_front(), Some(job), "seed {seed}, step {number}");
                        running[owner] += 1;
                        for (other, waited) in waited.iter_mut().enumerate() {
                            let waits = other != owner && able.contains(&other);
                            *waited = if waits { *waited + 1 } else { 0 };
                            let bound: usize = (0..5).filter(|o| *o != other).map(weight).sum();
                            assert!(*waited <= bound, "seed {seed}, step {number}: {other} starves");
                        }
                    }
                    _ => {
                        let owner = random.number() as usize % 5;
                        if running[owner] > 0 {
                            running[owner] -= 1;
                            queue.finish(&owner);
                        }
                    }
                }
                assert_eq!(queue.num_waiting(), waiting.iter().map(VecDeque::len).sum::<usize>());
            }
            // Nothing is left behind.
            for (owner, running) in running.iter_mut().enumerate() {
                (0..std::mem::take(running)).for_each(|_| queue.finish(&owner));
            }
            while let Some((owner, job)) = queue.take() {
                assert_eq!(waiting[owner].pop_front(), Some(job));
                queue.finish(&owner);
            }
            assert!(waiting.iter().all(VecDeque::is_empty) && queue.owners.is_empty(), "seed {seed}");
        }
    }
}

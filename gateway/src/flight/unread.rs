//! Answers that their client does not read: what they hold is released at a deadline.
//!
//! Invariant: a stream that the client is not ready for is not polled, so its end is brought about by a task beside it. The
//! client finds an error where it stopped reading. Cost: one lock a message.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use arrow_flight::FlightData;
use futures::Stream;
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use super::ReplyStream;
use crate::least_rate::LeastRate;

/// The longest time for a message, in multiples of the grace period.
const MOST_GRACE_PERIODS: u32 = 10;

/// A stream that ends when its client does not read.
pub(super) struct Unread {
    state: Arc<Mutex<State>>,
    rate: LeastRate,
    watch: tokio::task::JoinHandle<()>,
}

struct State {
    /// The answer; taken at its end.
    stream: Option<ReplyStream<FlightData>>,
    is_overdue: bool,
    /// Set while the client reads a message: until when it must ask for the next.
    deadline: Option<Instant>,
}

impl Unread {
    pub(super) fn new(stream: ReplyStream<FlightData>, rate: LeastRate) -> Unread {
        // The client has not asked for the first message yet.
        let deadline = Some(Instant::now() + rate.grace);
        let state = Arc::new(Mutex::new(State { stream: Some(stream), is_overdue: false, deadline }));
        let watched = state.clone();
        let watch = tokio::spawn(async move {
            loop {
                let next = {
                    let mut state = watched.lock().unwrap_or_else(PoisonError::into_inner);
                    if state.stream.is_none() {
                        return;
                    }
                    let now = Instant::now();
                    match state.deadline {
                        Some(deadline) if deadline <= now => {
                            state.is_overdue = true;
                            state.stream = None;
                            tracing::info!("a flight answer was not read in time");
                            return;
                        }
                        Some(deadline) => deadline,
                        None => now + rate.grace,
                    }
                };
                sleep_until(next).await;
            }
        });
        Unread { state, rate, watch }
    }
}

/// The time for a message of this size.
fn time_for(rate: LeastRate, num_bytes: usize) -> Duration {
    let seconds = num_bytes as u64 / rate.bytes_per_second.max(1);
    (rate.grace + Duration::from_secs(seconds)).min(MOST_GRACE_PERIODS * rate.grace)
}

impl Stream for Unread {
    type Item = Result<FlightData, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(stream) = &mut state.stream else {
            return Poll::Ready(std::mem::take(&mut state.is_overdue).then(|| {
                let seconds = self.rate.grace.as_secs();
                Err(Status::deadline_exceeded(format!(
                    "the answer was not read for {seconds} seconds (limits.stall_seconds)"
                )))
            }));
        };
        let polled = stream.as_mut().poll_next(context);
        state.deadline = match &polled {
            Poll::Ready(Some(Ok(message))) => {
                Some(Instant::now() + time_for(self.rate, message.data_body.len()))
            }
            Poll::Ready(Some(Err(_)) | None) => {
                state.stream = None;
                None
            }
            // The server's turn.
            Poll::Pending => None,
        };
        polled
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// An answer of messages of 5,000 bytes, and a handle that is alone once the answer is released.
    fn answer() -> (Unread, Arc<()>) {
        let held = Arc::new(());
        let holder = held.clone();
        let messages = futures::stream::repeat_with(move || {
            let _ = &holder;
            Ok(FlightData::new().with_data_body(vec![0; 5000]))
        });
        let rate = LeastRate { grace: 10 * SECOND, bytes_per_second: 1000 };
        (Unread::new(Box::pin(messages), rate), held)
    }

    async fn next(answer: &mut Unread) -> Option<Result<FlightData, Status>> {
        answer.next().now_or_never().expect("it does not wait")
    }

    #[tokio::test(start_paused = true)]
    async fn what_an_answer_holds_is_released_when_its_client_stops_reading() {
        let (mut unread, held) = answer();
        assert!(next(&mut unread).await.unwrap().is_ok());
        tokio::time::sleep(14 * SECOND).await;
        assert_eq!(Arc::strong_count(&held), 2, "the message was large");
        assert!(next(&mut unread).await.unwrap().is_ok());
        tokio::time::sleep(16 * SECOND).await;
        assert_eq!(Arc::strong_count(&held), 1);
        let error = next(&mut unread).await.unwrap().unwrap_err();
        assert_eq!(error.code(), tonic::Code::DeadlineExceeded);
        assert!(next(&mut unread).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_begun_is_released_and_one_that_is_dropped_too() {
        let (unread, held) = answer();
        tokio::time::sleep(11 * SECOND).await;
        assert_eq!(Arc::strong_count(&held), 1);
        drop(unread);
        let (unread, held) = answer();
        drop(unread);
        tokio::task::yield_now().await;
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_takes_its_time_is_not_the_clients_fault() {
        let silent: ReplyStream<FlightData> = Box::pin(futures::stream::pending());
        let rate = LeastRate { grace: SECOND, bytes_per_second: 1000 };
        let mut unread = Unread::new(silent, rate);
        assert!(unread.next().now_or_never().is_none());
        tokio::time::sleep(60 * SECOND).await;
        assert!(unread.next().now_or_never().is_none());
    }
}

//! The order of messages, and what becomes of those of slow readers.

use bytes::Bytes;

use proscenium_engine::testing::memory_account;

use super::*;
use crate::metrics::AppliedAt;

pub fn reply(text: &'static str) -> Outgoing {
    Outgoing::Reply(Bytes::from_static(text.as_bytes()).into())
}

pub fn updated(msg_id: u32, rows: Option<Bytes>) -> Outgoing {
    let applied_at = AppliedAt::default();
    Outgoing::Notification(Notification::Updated {
        msg_id,
        view_id: "v".into(),
        port_id: 0,
        rows,
        applied_at,
    })
}

pub fn outbox() -> Arc<Outbox> {
    Outbox::new(
        SessionId::fresh(),
        Limits::default(),
        ActorMetrics::new().unwrap(),
        MemoryAccount::unlimited(),
    )
}

pub fn drain(outbox: &Outbox) -> Vec<Outgoing> {
    std::iter::from_fn(|| outbox.take()).collect()
}

#[test]
fn a_reservation_delays_its_own_stream_only() {
    let outbox = outbox();
    let (slow, other) = (StreamId::fresh(), StreamId::fresh());
    outbox.push(slow, reply("first"));
    let reservation = outbox.reserve(slow);
    outbox.push(slow, reply("behind"));
    outbox.push(other, reply("elsewhere"));
    assert_eq!(drain(&outbox), [reply("first"), reply("elsewhere")]);
    reservation.fill(updated(1, Some(Bytes::new())));
    assert_eq!(drain(&outbox), [updated(1, Some(Bytes::new())), reply("behind")]);
    outbox.push(slow, reply("free again"));
    assert_eq!(drain(&outbox), [reply("free again")]);
}

#[test]
fn reservations_are_delivered_in_the_order_they_were_made() {
    let outbox = outbox();
    let stream = StreamId::fresh();
    let (first, second, third) = (outbox.reserve(stream), outbox.reserve(stream), outbox.reserve(stream));
    third.fill(reply("3"));
    first.fill(reply("1"));
    assert_eq!(drain(&outbox), [reply("1")]);
    drop(second);
    assert_eq!(drain(&outbox), [reply("3")]);
}

#[test]
fn an_unordered_message_delays_no_other() {
    let outbox = outbox();
    let stream = StreamId::fresh();
    let late = outbox.unordered(stream);
    outbox.push(stream, reply("before"));
    late.fill(reply("late"));
    assert_eq!(drain(&outbox), [reply("before"), reply("late")]);
}

#[test]
fn a_reader_that_keeps_up_receives_every_update() {
    let outbox = outbox();
    for _ in 0..3 {
        outbox.push(StreamId::SERVER, updated(1, None));
    }
    assert_eq!(drain(&outbox).len(), 3);
}

#[test]
fn a_slow_reader_receives_repeated_notifications_once() {
    let outbox = outbox();
    for _ in 0..tuning::COLLAPSE_AFTER {
        outbox.push(StreamId::SERVER, reply("x"));
    }
    for _ in 0..1000 {
        outbox.push(StreamId::SERVER, updated(1, None));
        outbox.push(StreamId::SERVER, updated(2, None));
    }
    let notification = drain(&outbox).split_off(tuning::COLLAPSE_AFTER);
    assert_eq!(notification, [updated(1, None), updated(2, None)]);
    outbox.push(StreamId::SERVER, updated(1, None));
    assert_eq!(drain(&outbox), [updated(1, None)]);
}

#[test]
fn a_reader_too_far_behind_is_closed_and_its_memory_freed() {
    let outbox = outbox();
    let rows = Bytes::from(vec![0; 1 << 20]);
    let mut sent = 0;
    while outbox.closed().is_none() {
        outbox.push(StreamId::SERVER, updated(1, Some(rows.clone())));
        sent += rows.len();
    }
    assert_eq!(outbox.closed(), Some(Closed::TooFarBehind));
    assert!(sent <= Limits::default().pending_notification_bytes + rows.len());
    assert_eq!(drain(&outbox), []);
}

#[test]
fn one_huge_update_does_not_close_the_connection() {
    let outbox = outbox();
    let rows = Bytes::from(vec![0; Limits::default().pending_notification_bytes + 1]);
    outbox.push(StreamId::SERVER, updated(1, Some(rows.clone())));
    assert_eq!((outbox.closed(), outbox.is_full()), (None, true));
    assert_eq!(drain(&outbox), [updated(1, Some(rows))]);
    assert!(!outbox.is_full());
}

#[test]
fn deferred_updates_are_due_once_there_is_room() {
    let outbox = outbox();
    let table = StreamId::fresh();
    outbox.push(table, updated(1, Some(Bytes::from(vec![0; Limits::default().merge_bytes]))));
    outbox.defer(table);
    outbox.defer(table);
    assert!(outbox.take_deferred().is_empty() && outbox.is_lagging());
    drain(&outbox);
    assert_eq!(outbox.take_deferred(), [table]);
    assert!(outbox.take_deferred().is_empty() && !outbox.is_lagging());
}

#[test]
fn an_ended_connection_drops_later_messages() {
    let outbox = outbox();
    let reservation = outbox.reserve(StreamId::SERVER);
    outbox.end();
    reservation.fill(reply("too late"));
    outbox.push(StreamId::SERVER, reply("too late"));
    assert_eq!(drain(&outbox), []);
}

#[test]
fn pending_notifications_take_the_memory_of_their_session() {
    let server = memory_account(4 << 20);
    let metrics = ActorMetrics::new().unwrap();
    let outbox = Outbox::new(SessionId::fresh(), Limits::default(), metrics, server.session());
    let reserved = || server.usage().unwrap().reserved_bytes;
    outbox.push(StreamId::SERVER, updated(1, Some(Bytes::from(vec![0; 1000]))));
    assert_eq!(reserved(), 0, "few bytes are not counted");
    let rows = Bytes::from(vec![0; 1 << 20]);
    outbox.push(StreamId::SERVER, updated(1, Some(rows.clone())));
    assert!(reserved() >= 1 << 20);
    assert_eq!(drain(&outbox).len(), 2);
    assert_eq!(reserved(), 0);
    outbox.push(StreamId::SERVER, updated(1, Some(rows.clone())));
    outbox.push(StreamId::SERVER, updated(1, Some(rows)));
    assert!(matches!(outbox.closed(), Some(Closed::NoMemory(_))), "two do not fit a session of 2 MiB");
    assert_eq!(reserved(), 0);
    assert!(drain(&outbox).is_empty());
}

//! What is admitted, what is refused, and what is counted.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

const MIB: u64 = 1 << 20;

/// A process whose use is set by the test.
#[derive(Debug)]
struct Process {
    limit: u64,
    used: AtomicU64,
}

impl MemoryProbe for Process {
    fn room(&self, _asked: u64) -> u64 {
        self.limit.saturating_sub(self.used.load(Ordering::Relaxed))
    }
}

/// A server of 100 MiB, with 50 for a session and 20 for a request.
fn server() -> (MemoryAccount, Arc<Process>) {
    let process = Arc::new(Process { limit: 100 * MIB, used: AtomicU64::new(0) });
    let limits = MemoryLimits { server: 100 * MIB, per_session: 50 * MIB, per_request: 20 * MIB };
    (MemoryAccount::server(limits, process.clone()), process)
}

fn reserved(account: &MemoryAccount) -> u64 {
    account.usage().unwrap().reserved_bytes
}

#[test]
fn each_level_has_its_limit_and_a_refusal_leaves_nothing_behind() {
    let (server, process) = server();
    let session = server.session();
    let request = session.request();
    let refused = request.reserve(MemoryKind::Slices, 21 * MIB).unwrap_err();
    assert_eq!(refused.to_string(), "needs 21.0 MiB for the slice; [memory] per_request allows 20.0 MiB");
    let held: Vec<_> =
        (0..2).map(|_| session.request().reserve(MemoryKind::Uploads, 20 * MIB).unwrap()).collect();
    let refused = request.reserve(MemoryKind::Slices, 11 * MIB).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "needs 11.0 MiB for the slice; [memory] per_session allows 50.0 MiB, of which 10.0 MiB are free"
    );
    process.used.store(95 * MIB, Ordering::Relaxed);
    drop(held);
    let refused = request.reserve(MemoryKind::Staging, 6 * MIB).unwrap_err();
    assert_eq!((refused.level, refused.free_bytes), (MemoryLevel::Server, 5 * MIB));
    assert_eq!(reserved(&server), 0);
    assert_eq!(request.reserve(MemoryKind::Staging, 5 * MIB).unwrap().bytes(), 5 * MIB);
    process.used.store(0, Ordering::Relaxed);
    assert!(request.reserve(MemoryKind::Staging, 20 * MIB).is_ok(), "nothing is left of earlier ones");
    assert!(request.reserve(MemoryKind::Staging, u64::MAX).is_err(), "sizes do not wrap around");
}

#[test]
fn allocated_memory_is_counted_once() {
    let (server, process) = server();
    let mut reservations: Vec<_> =
        (0..2).map(|_| server.session().reserve(MemoryKind::Uploads, 50 * MIB).unwrap()).collect();
    assert!(server.session().reserve(MemoryKind::Uploads, MIB).is_err());
    // One is allocated: the process uses as much more as is pending less.
    reservations[0].settle(40 * MIB);
    process.used.store(40 * MIB, Ordering::Relaxed);
    assert!(server.session().reserve(MemoryKind::Uploads, MIB).is_err());
    reservations[0].shrink_to(40 * MIB);
    assert!(server.session().reserve(MemoryKind::Uploads, 10 * MIB).is_ok());
    let usage = server.usage().unwrap();
    assert_eq!((usage.pending_bytes, usage.reserved_bytes), (50 * MIB, 90 * MIB));
    reservations.clear();
    let usage = server.usage().unwrap();
    assert_eq!((usage.pending_bytes, usage.reserved_bytes, usage.peak_bytes), (0, 0, 100 * MIB));
}

#[test]
fn small_requests_go_on_when_the_server_is_full() {
    let (server, process) = server();
    process.used.store(200 * MIB, Ordering::Relaxed);
    let request = server.session().request();
    let mut small = request.reserve(MemoryKind::Frames, SMALL_BYTES).unwrap();
    assert_eq!(reserved(&server), SMALL_BYTES);
    // Many small steps are not small together.
    assert_eq!(small.grow(1).unwrap_err().asked, SMALL_BYTES + 1);
    assert_eq!(small.bytes(), SMALL_BYTES);
    small.shrink_to(0);
    assert_eq!(reserved(&server), 0);
}

#[test]
fn reservations_and_refusals_are_counted_by_kind() {
    let (server, _) = server();
    let request = server.request();
    let reservation = request.reserve(MemoryKind::Joins, 3 * MIB).unwrap();
    assert!(request.reserve(MemoryKind::Slices, 18 * MIB).is_err());
    let usage = server.usage().unwrap();
    assert_eq!(usage.reserved_by_kind[MemoryKind::Joins as usize], 3 * MIB);
    assert_eq!(usage.refused_by_kind[MemoryKind::Slices as usize], 1);
    assert_eq!(usage.reserved_by_kind.iter().sum::<u64>(), reservation.bytes());
    for (position, kind) in MemoryKind::ALL.into_iter().enumerate() {
        assert_eq!(position, kind as usize, "{kind:?}");
    }
}

#[test]
fn an_unlimited_account_refuses_nothing() {
    let account = MemoryAccount::unlimited().session().request();
    let mut reservation = account.reserve(MemoryKind::Joins, u64::MAX).unwrap();
    reservation.grow(u64::MAX).unwrap();
    reservation.settle_all();
    assert_eq!(account.usage(), None);
}

#[test]
fn threads_that_share_an_account_do_not_exceed_it() {
    let (server, _) = server();
    let session = server.session();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let request = session.request();
                    let mut kept = Vec::new();
                    while let Ok(mut reservation) = request.reserve(MemoryKind::Staging, 3 * MIB) {
                        reservation.settle(MIB);
                        kept.push(reservation);
                    }
                    assert!(reserved(&server) <= 50 * MIB);
                }
            });
        }
    });
    let usage = server.usage().unwrap();
    assert_eq!((usage.pending_bytes, usage.reserved_bytes), (0, 0));
}

#[test]
fn bytes_are_written_for_people() {
    let texts = [0, 1023, 1024, 1_048_575, 1 << 20, 1_717_986_918, u64::MAX].map(|n| ByteText(n).to_string());
    assert_eq!(texts, ["0 bytes", "1023 bytes", "1.0 KiB", "1.0 MiB", "1.0 MiB", "1.6 GiB", "16.0 EiB"]);
}

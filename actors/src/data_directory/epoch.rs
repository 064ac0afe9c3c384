//! The epochs of starts.
//!
//! Invariant: an epoch is higher than those before it in the same directory, no start of a copy of the directory has it, and it
//! is below 2^53, so that clients read it as a JSON number exactly. Its upper bits are the seconds of the clock, the lower ones
//! are drawn: two copies that are started in the same second have the same one with a chance of one in two millions.

use std::time::{SystemTime, UNIX_EPOCH};

/// Bits that are drawn.
const DRAWN_BITS: u32 = 21;

/// The epoch of a start that follows one with the epoch `last`.
pub(super) fn next(last: u64, drawn: u64) -> u64 {
    // Before 1970 or after 2106, what is drawn alone tells copies apart.
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    after(last, u32::try_from(seconds).unwrap_or(0), drawn)
}

fn after(last: u64, seconds: u32, drawn: u64) -> u64 {
    let drawn = drawn % (1 << DRAWN_BITS);
    let epoch = (u64::from(seconds) << DRAWN_BITS) | drawn;
    // The clock was set back, or the last start was in the same second.
    if epoch > last { epoch } else { last + 1 + drawn }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_rise_also_if_the_clock_is_set_back() {
        let mut last = 0;
        for seconds in [1_790_000_000, 1_790_000_000, 1_790_000_001, 1_000_000_000, 0, u32::MAX] {
            for drawn in [0, 5, u64::MAX] {
                let epoch = after(last, seconds, drawn);
                assert!(epoch > last, "{epoch} follows {last}");
                last = epoch;
            }
        }
        assert_eq!(after(7, 1_790_000_000, 3), after(0, 1_790_000_000, 3));
        assert!(after(0, u32::MAX, u64::MAX) < 1 << 53);
    }

    #[test]
    fn copies_of_a_directory_do_not_share_an_epoch() {
        for (last, seconds) in [(0, 1_790_000_000), (u64::from(u32::MAX) << 20, 5)] {
            assert_ne!(after(last, seconds, 17), after(last, seconds, 18));
        }
    }
}

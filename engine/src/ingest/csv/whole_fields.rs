//! The fast path for records whose quotes, if any, surround whole fields, as most programs write them.
//!
//! Invariant: the fields are those that [`super::split::Block`] would have read. Records with doubled quotes, quotes
//! inside a field or a wrong number of fields, records near the end of the text and blank lines are left to it.

use super::masks::{Masks, STEP, between};

/// How far records were read.
#[derive(Debug)]
pub(super) struct RecordRange {
    pub(super) num_rows: usize,
    /// Where the next record or a blank line starts.
    pub(super) position: usize,
}

/// Reads records from `start` on, until there are `most_rows` or the next one would not start before `limit`. `take`
/// receives the ranges of their fields in order, possibly followed by some of a record that is not counted in
/// `num_rows`.
#[inline]
pub(super) fn read(
    bytes: &[u8],
    separator: u8,
    start: usize,
    limit: usize,
    width: usize,
    most_rows: usize,
    mut take: impl FnMut(usize, usize),
) -> RecordRange {
    let mut found = RecordRange { num_rows: 0, position: start };
    let mut field_start = start;
    let mut num_fields = 0;
    // The LF of a CR LF, which ends no further line.
    let mut skipped = usize::MAX;
    // Carried from step to step: all bits, or the lowest one.
    let (mut is_quoted, mut was_separator, mut was_closed) = (0, 1, 0);
    // The ranges of a record of gigabytes do not fit into 32 bits.
    let farthest = start.saturating_add(u32::MAX as usize - STEP);
    let mut step = start;
    while found.num_rows < most_rows && found.position < limit && step < farthest {
        let Some(block) = bytes.get(step..).and_then(|rest| rest.first_chunk()) else { break };
        let Masks { quotes, separators, line_ends } = Masks::of(block, separator);
        let quoted = if quotes == 0 { is_quoted } else { between(quotes) ^ is_quoted };
        let (opened, closed) = (quotes & quoted, quotes & !quoted);
        let line_ends = line_ends & !quoted;
        let mut separators = separators & !quoted | line_ends;
        let opened_within = opened & !(separators << 1 | was_separator);
        let continued = (closed << 1 | was_closed) & !separators;
        if opened_within | continued != 0 {
            break;
        }
        is_quoted = if quoted >> 63 == 1 { u64::MAX } else { 0 };
        (was_separator, was_closed) = (separators >> 63, closed >> 63);
        while separators != 0 {
            let offset = separators.trailing_zeros();
            separators &= separators - 1;
            let end = step + offset as usize;
            let is_line_end = line_ends >> offset & 1 == 1;
            if is_line_end && end == skipped {
                continue;
            }
            // A field that starts with a quote ends with one.
            let trimmed = usize::from(bytes[field_start] == b'"');
            take(field_start + trimmed, end - trimmed);
            num_fields += 1;
            if is_line_end {
                let is_blank = num_fields == 1 && field_start == end;
                if num_fields != width || is_blank {
                    return found;
                }
                num_fields = 0;
                found.num_rows += 1;
                found.position = end + 1;
                if bytes[end] == b'\r' && bytes.get(end + 1) == Some(&b'\n') {
                    skipped = end + 1;
                    found.position = end + 2;
                }
                if found.num_rows == most_rows || found.position >= limit {
                    return found;
                }
                field_start = found.position;
            } else {
                field_start = end + 1;
            }
        }
        step += STEP;
    }
    found
}

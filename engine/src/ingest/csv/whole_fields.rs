//! Records whose quotes, if they have any, stand around whole fields: what most programs write.
//!
//! Law: what is read here is what [`super::split::Block`] would have read field by field. A record with doubled quotes,
//! with quotes inside of a field, with a wrong number of fields or near the end of the text is left to it, and so is a
//! blank line.

use super::masks::{Masks, STEP, between};

/// How far it was read.
#[derive(Debug)]
pub(super) struct RecordRange {
    pub(super) num_rows: usize,
    /// Where the next record begins, or a blank line.
    pub(super) position: usize,
}

/// The records from `start` on, until there are `most_rows` or the next one would not begin before `limit`. `take` gets
/// the places of the fields of each, in order, and then perhaps some of a record that is not read: `num_rows` tells.
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
    // The LF of a CR LF, which ends nothing more.
    let mut skipped = usize::MAX;
    // Carried from step to step: all bits, or the lowest one.
    let (mut is_quoted, mut was_separator, mut was_closed) = (0, 1, 0);
    // A record of gigabytes has places that do not fit.
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
            // A field that opens with a quote closes with one.
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

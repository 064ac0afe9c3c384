//! Converts panics of readers into errors, in one place.
//!
//! Invariant: code run under [`guarded`] owns everything it changes (a reader makes a batch and touches no table), so
//! no partial change outlives a panic. The panic is not printed: its cause is the data, and it is reported as an error
//! about them. Where panics abort (in the browser's worker) nothing can be caught, so bounds are checked first
//! everywhere.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, resume_unwind, set_hook, take_hook};
use std::sync::Once;

use crate::error::{DataError, Result};
use crate::interrupt::Interrupted;

/// The reading state of this thread.
#[derive(Default)]
struct Reading {
    depth: usize,
    column: Option<String>,
    panic: Option<String>,
}

thread_local! {
    static READING: RefCell<Reading> = RefCell::default();
}

/// Runs a reader. A panic in it becomes an error that names the column being read, if known.
///
/// # Errors
///
/// Those of the reader, or an error about damaged data if it panics.
pub fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    install_hook();
    READING.with_borrow_mut(|reading| {
        if reading.depth == 0 {
            *reading = Reading::default();
        }
        reading.depth += 1;
    });
    let outcome = catch_unwind(AssertUnwindSafe(read));
    let (column, panic) = READING.with_borrow_mut(|reading| {
        reading.depth -= 1;
        (reading.column.take(), reading.panic.take().filter(|why| !why.is_empty()))
    });
    match outcome {
        Ok(result) => result,
        Err(payload) if payload.is::<Interrupted>() => resume_unwind(payload),
        Err(_) => Err(DataError::Damaged { column, reason: panic }.into()),
    }
}

/// Sets the column that is read from now on, for the error of [`guarded`].
pub fn reading_column(name: &str) {
    READING.with_borrow_mut(|reading| match &mut reading.column {
        Some(column) => {
            column.clear();
            column.push_str(name);
        }
        column => *column = Some(name.to_string()),
    });
}

/// Installs a panic hook that records panics of readers and passes all others to the previous hook.
fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            let is_reading = READING
                .try_with(|reading| match reading.try_borrow_mut() {
                    Ok(mut reading) if reading.depth > 0 => {
                        reading.panic = Some(message_of(info));
                        true
                    }
                    _ => false,
                })
                .unwrap_or(false);
            if !is_reading {
                before(info);
            }
        }));
    });
}

fn message_of(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_string());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_that_names_its_column() {
        let failed: Result<()> = guarded(|| {
            reading_column("price");
            let empty: Vec<u8> = Vec::new();
            panic!("index {} is not there", empty.len());
        });
        assert_eq!(
            failed.unwrap_err().to_string(),
            "cannot read column `price`: the bytes are damaged or inconsistent: index 0 is not there"
        );
        let failed: Result<()> = guarded(|| guarded(|| std::panic::panic_any(7)));
        let text = "cannot read the data: the bytes are damaged or inconsistent";
        assert_eq!(failed.unwrap_err().to_string(), text);
        assert_eq!(guarded(|| Ok(1)), Ok(1));
    }
}

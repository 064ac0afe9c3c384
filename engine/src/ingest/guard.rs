//! The one place where a reader's panic becomes an error.
//!
//! Invariant: what runs under [`guarded`] owns all that it changes (a reader makes a batch and touches no table), so
//! nothing half-changed outlives a panic. The panic is not printed: it is a fault of the data, and is answered as one.
//! Where panics abort (the worker in the browser) nothing can be caught, so bounds and checks come first everywhere.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use crate::error::{EngineError, Result};

/// What is being read on this thread.
#[derive(Default)]
struct Reading {
    depth: usize,
    column: Option<String>,
    panic: Option<String>,
}

thread_local! {
    static READING: RefCell<Reading> = RefCell::default();
}

/// Runs a reader; a panic in it is an error that names the column that was being read, where it is known.
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
    outcome.unwrap_or_else(|_| {
        let what = column.map_or_else(|| "the data".to_string(), |column| format!("column `{column}`"));
        let why = panic.map_or_else(String::new, |why| format!(": {why}"));
        Err(EngineError::data(format!("cannot read {what}: the bytes are damaged or inconsistent{why}")))
    })
}

/// Says which column is read from now on, for the error of [`guarded`].
pub fn reading_column(name: &str) {
    READING.with_borrow_mut(|reading| match &mut reading.column {
        Some(column) => {
            column.clear();
            column.push_str(name);
        }
        column => *column = Some(name.to_string()),
    });
}

/// Panics of readers are kept for the answer; all others go to the hook that was there.
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

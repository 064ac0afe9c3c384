//! The progress of a load, on standard error if that is a terminal.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// What a load has done so far.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    began: Instant,
    num_rows: u64,
}

impl Progress {
    pub(super) fn begin() -> Progress {
        // It draws nothing where standard error is no terminal.
        let bar = ProgressBar::new_spinner();
        set_template(&bar, "{spinner} {msg}  {elapsed}");
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress { bar, began: Instant::now(), num_rows: 0 }
    }

    /// Names what is being done.
    pub(super) fn name(&self, step: String) {
        self.bar.set_message(step);
    }

    /// Shows a bar of the rows that are sent, these more.
    pub(super) fn expect(&self, num_rows: usize) {
        set_template(
            &self.bar,
            "{spinner} {msg}  {bar:24} {human_pos} of {human_len} rows  {rate}  {elapsed}",
        );
        self.bar.set_length(self.bar.length().unwrap_or(0) + num_rows as u64);
    }

    /// A counter of rows that are sent.
    pub(super) fn sent(&self) -> impl Fn(usize) + Send + 'static {
        let bar = self.bar.clone();
        move |rows| bar.inc(rows as u64)
    }

    /// Counts rows that the server has applied.
    pub(super) fn applied(&mut self, num_rows: u64) {
        self.num_rows += num_rows;
        self.bar.set_position(self.num_rows);
    }

    /// The number of rows that the server has applied.
    pub(super) fn num_rows(&self) -> u64 {
        self.num_rows
    }

    /// Removes the progress, and returns what is reported instead of it.
    pub(super) fn finish(self, table: &str) -> String {
        self.bar.finish_and_clear();
        summary(self.num_rows, table, self.began.elapsed())
    }
}

fn set_template(bar: &ProgressBar, template: &str) {
    let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        // What cannot be drawn is left out.
        let _ = write!(out, "{:.0} rows/s", state.per_sec());
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.with_key("rate", rate));
    }
}

fn summary(num_rows: u64, table: &str, took: Duration) -> String {
    let seconds = took.as_secs_f64();
    let rate = (num_rows as f64 / seconds.max(1e-3)).round();
    format!("{num_rows} rows into {table} in {seconds:.2} s ({rate} rows/s)\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_names_rows_table_time_and_rate() {
        let text = summary(1000, "trades", Duration::from_millis(500));
        assert_eq!(text, "1000 rows into trades in 0.50 s (2000 rows/s)\n");
    }
}

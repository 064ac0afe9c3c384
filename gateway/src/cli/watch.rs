//! `proscenium watch`: a view of a table that is redrawn when it changes.
//!
//! Invariant: the terminal is written only when what it shows differs, and its cursor is back at the end. A server that does
//! not answer is asked again; the rows that were there stay.
//!
//! Cost: each interval the rows that fit the terminal are asked for again; the server shares the view with equal ones.

use std::ops::Range;
use std::time::Duration;

use clap::Args;
use console::Term;

use super::error::CliError;
use super::output::print;
use super::query::{self, RowRange};
use super::server::ServerArgs;
use super::view_flags::ViewArgs;
use crate::shutdown;

/// Lines of a terminal that are not rows: the head, and what is said of columns and rows that are not shown.
const OTHER_LINES: usize = 4;

/// Rows of a snapshot where there is no terminal.
const SNAPSHOT_ROWS: usize = 50;

/// Arguments of `proscenium watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    #[command(flatten)]
    view: ViewArgs,
    #[command(flatten)]
    server: ServerArgs,
    /// Rows of the view, from 0 [default: those that fit the terminal].
    #[arg(long, short, value_name = "START..END")]
    rows: Option<RowRange>,
    /// How often the view is read: `1s`, `200ms`.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    every: Duration,
}

/// Parses a time: a number with `ms`, `s` or `m`.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is no time; one is 200ms, 1s, 2m");
    let end = text.find(|character: char| character.is_ascii_alphabetic()).unwrap_or(text.len());
    let number: f64 = text[..end].parse().map_err(|_| wrong())?;
    let seconds = match &text[end..] {
        "ms" => number / 1000.0,
        "s" | "" => number,
        "m" => number * 60.0,
        _ => return Err(wrong()),
    };
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        Ok(_) | Err(_) => Err(wrong()),
    }
}

pub(super) async fn run(args: WatchArgs) -> Result<(), CliError> {
    let wanted = args.view.wanted()?;
    let mut client = args.server.connect().await?;
    let term = Term::stdout();
    let rows = |shown: usize| match &args.rows {
        Some(RowRange(Range { start, end })) => *start..(*end).min(start.saturating_add(shown)),
        None => 0..shown,
    };
    if !term.is_term() {
        let page = wanted.read(&mut client, rows(SNAPSHOT_ROWS)).await?;
        return print(&query::table(&page, None)?);
    }
    let watching = async {
        let (mut shown, mut grid) = (None, None);
        let mut ticks = tokio::time::interval(args.every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let (height, width) = term.size();
            let rows = rows(usize::from(height).saturating_sub(OTHER_LINES).max(1));
            let text = match (wanted.read(&mut client, rows.clone()).await, &grid) {
                (Ok(page), _) => {
                    let mut text = query::table(&page, Some(usize::from(width)))?;
                    if page.has_more {
                        text.push_str(&format!("(rows {}..{}; more follow)\n", rows.start, rows.end));
                    }
                    grid = Some(text.clone());
                    text
                }
                (Err(error), Some(grid)) if error.is_lost_connection() => {
                    format!("{grid}(the server does not answer; trying again)\n")
                }
                (Err(error), _) => return Err(error),
            };
            if shown.as_ref() != Some(&text) {
                print(&redrawn(&text))?;
                shown = Some(text);
            }
        }
    };
    print(HIDE_CURSOR)?;
    let ended: Result<(), CliError> = tokio::select! {
        ended = watching => ended,
        signal = shutdown::signal() => signal.map_err(CliError::System),
    };
    print(SHOW_CURSOR)?;
    ended
}

const HIDE_CURSOR: &str = "\x1b[?25l\x1b[2J";
const SHOW_CURSOR: &str = "\x1b[?25h";

/// Draws over what is there, line by line, and clears what is left of it: nothing flickers.
fn redrawn(text: &str) -> String {
    format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(interval("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(interval("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(interval("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "s", "0s", "-1s", "1h", "1 parsec", "1e300s"] {
            assert!(interval(wrong).unwrap_err().contains("no time"), "{wrong}");
        }
    }

    #[test]
    fn lines_are_drawn_over() {
        assert_eq!(redrawn("a\nb\n"), "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
    }
}

//! A view configuration as flags.
//!
//! Invariant: flags only spell the configuration; the server checks it, and its errors name the clause.

use clap::Args;
use serde_json::{Map, Value, json};

use super::error::CliError;
use super::filter_text;
use super::get::ViewRequest;

/// The view of a command.
#[derive(Debug, Clone, Args)]
pub struct ViewArgs {
    /// Name of the table.
    table: String,
    /// Columns to show, in this order.
    #[arg(long, short, value_name = "COLUMN,…", value_delimiter = ',')]
    columns: Vec<String>,
    /// Columns whose values group the rows.
    #[arg(long, short, value_name = "COLUMN,…", value_delimiter = ',')]
    group_by: Vec<String>,
    /// Columns whose values split the columns.
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    split_by: Vec<String>,
    /// Aggregate of a column: `price=avg`, `price=weighted mean,size`; may be repeated.
    #[arg(long, short, value_name = "COLUMN=NAME")]
    aggregate: Vec<String>,
    /// Order of rows: `price=desc`, `price` for ascending; may be repeated.
    #[arg(long, short, value_name = "COLUMN=DIRECTION")]
    sort: Vec<String>,
    /// Rows to keep: `price > 10`, `symbol in A, B`, `note is not null`; may be repeated, all hold.
    #[arg(long, short, value_name = "FILTER")]
    filter: Vec<String>,
    /// A computed column: `total="price" * "size"`; may be repeated.
    #[arg(long, short, value_name = "NAME=EXPRESSION")]
    expression: Vec<String>,
    /// The whole view configuration as JSON, as Perspective's clients spell it.
    #[arg(
        long,
        value_name = "JSON",
        conflicts_with_all = ["columns", "group_by", "split_by", "aggregate", "sort", "filter", "expression"]
    )]
    view: Option<String>,
}

impl ViewArgs {
    /// Returns the view that the flags describe.
    ///
    /// # Errors
    ///
    /// Names the flag that is not understood.
    pub(super) fn wanted(&self) -> Result<ViewRequest, CliError> {
        let view = self.config().map_err(CliError::Usage)?;
        Ok(ViewRequest { table: self.table.clone(), view })
    }

    fn config(&self) -> Result<Value, String> {
        if let Some(view) = &self.view {
            return serde_json::from_str(view).map_err(|error| format!("--view is no JSON: {error}"));
        }
        let mut config = Map::new();
        let mut set = |key: &str, is_given: bool, value: Value| {
            if is_given {
                config.insert(key.to_owned(), value);
            }
        };
        set("columns", !self.columns.is_empty(), json!(self.columns));
        set("group_by", !self.group_by.is_empty(), json!(self.group_by));
        set("split_by", !self.split_by.is_empty(), json!(self.split_by));
        let aggregates: Map<_, _> =
            self.aggregate.iter().map(|text| aggregate(text)).collect::<Result<_, _>>()?;
        set("aggregates", !aggregates.is_empty(), aggregates.into());
        let sort: Vec<Value> = self.sort.iter().map(|text| sort(text)).collect();
        set("sort", !sort.is_empty(), sort.into());
        let filter =
            self.filter.iter().map(|text| filter_text::parse(text)).collect::<Result<Vec<_>, _>>()?;
        set("filter", !filter.is_empty(), filter.into());
        let expressions: Map<_, _> =
            self.expression.iter().map(|text| expression(text)).collect::<Result<_, _>>()?;
        set("expressions", !expressions.is_empty(), expressions.into());
        Ok(config.into())
    }
}

fn aggregate(text: &str) -> Result<(String, Value), String> {
    let (column, aggregate) = text
        .rsplit_once('=')
        .ok_or_else(|| format!("aggregate \"{text}\" is not COLUMN=NAME, such as price=avg"))?;
    let words: Vec<&str> = aggregate.split(',').map(str::trim).collect();
    Ok((column.to_owned(), if let [word] = words[..] { word.into() } else { words.into() }))
}

fn sort(text: &str) -> Value {
    let (column, direction) = text.rsplit_once('=').unwrap_or((text, "asc"));
    json!([column, direction])
}

fn expression(text: &str) -> Result<(String, Value), String> {
    let (name, expression) = text.split_once('=').ok_or_else(|| {
        format!("expression \"{text}\" is not NAME=EXPRESSION, such as 'twice=\"price\" * 2'")
    })?;
    Ok((name.trim().to_owned(), expression.trim().into()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        view: ViewArgs,
    }

    fn config(line: &[&str]) -> Result<Value, String> {
        Line::try_parse_from([&["query", "trades"][..], line].concat())
            .map_err(|error| error.to_string())?
            .view
            .config()
    }

    #[test]
    fn flags_are_a_view_configuration() {
        assert_eq!(config(&[]).unwrap(), json!({}));
        let line = [
            "--columns",
            "a,b",
            "-g",
            "g",
            "--split-by",
            "s",
            "--aggregate",
            "a=sum",
            "-a",
            "b=weighted mean,w",
            "--sort",
            "a=col desc",
            "-s",
            "b",
            "-f",
            "a > 10",
            "-e",
            "t=\"a\" == 2",
            "-c",
            "t",
        ];
        let expected = json!({
            "columns": ["a", "b", "t"], "group_by": ["g"], "split_by": ["s"],
            "aggregates": {"a": "sum", "b": ["weighted mean", "w"]}, "sort": [["a", "col desc"], ["b", "asc"]],
            "filter": [["a", ">", 10]], "expressions": {"t": "\"a\" == 2"},
        });
        assert_eq!(config(&line).unwrap(), expected);
        assert_eq!(config(&["--view", "{\"group_by\":[\"g\"]}"]).unwrap(), json!({"group_by": ["g"]}));
    }

    #[test]
    fn the_flag_at_fault_is_named() {
        for (line, wrong) in [
            (&["--aggregate", "a"][..], "aggregate \"a\""),
            (&["--expression", "a"], "expression \"a\""),
            (&["--filter", "a"], "filter \"a\""),
            (&["--view", "{"], "--view"),
            (&["--view", "{}", "--sort", "a"], "--sort"),
        ] {
            let error = config(line).unwrap_err();
            assert!(error.contains(wrong), "{error}");
        }
    }
}

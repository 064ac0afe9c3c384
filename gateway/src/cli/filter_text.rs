//! Filters as people write them: `price > 10`, `symbol in A, B`, `"my column" is not null`.
//!
//! Invariant: a text becomes `[column, operator, value]` of a view configuration; whether column, operator and value go
//! together is the server's to decide.

use serde_json::{Value, json};

/// What takes no value, a list, or one value. An operator comes before those that it begins with.
const WORDS: [&str; 14] = [
    "is not null",
    "is null",
    "not begins with",
    "not ends with",
    "not contains",
    "not matches",
    "not in",
    "begins with",
    "ends with",
    "startswith",
    "endswith",
    "contains",
    "matches",
    "in",
];

const SIGNS: [&str; 7] = ["==", "!=", ">=", "<=", "=", ">", "<"];

/// Parses a filter.
///
/// # Errors
///
/// There is no operator, or a quote is not closed.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let wrong = || {
        format!(
            "filter \"{text}\" is not COLUMN OPERATOR VALUE; operators are ==, !=, >, >=, <, <=, begins with, ends with, \
             contains, matches, in, is null, and not before the words"
        )
    };
    let (column, operator, rest) = match quoted(text.trim())? {
        Some((column, rest)) => {
            let (before, operator, rest) = operator(rest).ok_or_else(wrong)?;
            if !before.trim().is_empty() {
                return Err(wrong());
            }
            (column, operator, rest)
        }
        None => {
            let (column, operator, rest) = operator(text).ok_or_else(wrong)?;
            (column.trim().to_owned(), operator, rest)
        }
    };
    if column.is_empty() {
        return Err(wrong());
    }
    match operator {
        "is null" | "is not null" if rest.trim().is_empty() => Ok(json!([column, operator])),
        "in" | "not in" => Ok(json!([column, operator, list(rest)?])),
        "is null" | "is not null" => Err(wrong()),
        "=" => Ok(json!([column, "==", value(rest)?])),
        operator => Ok(json!([column, operator, value(rest)?])),
    }
}

/// Splits at the first operator: a sign anywhere, a word between blanks.
fn operator(text: &str) -> Option<(&str, &'static str, &str)> {
    let lower = text.to_ascii_lowercase();
    for (at, _) in text.char_indices() {
        let (here, before) = (&lower[at..], &text[..at]);
        if let Some(sign) = SIGNS.into_iter().find(|sign| here.starts_with(sign)) {
            return Some((before, sign, &text[at + sign.len()..]));
        }
        let is_word_start = before.is_empty() || before.ends_with(char::is_whitespace);
        let word = WORDS.into_iter().filter(|_| is_word_start).find(|word| {
            here.strip_prefix(word)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
        });
        if let Some(word) = word {
            return Some((before, word, &text[at + word.len()..]));
        }
    }
    None
}

/// Splits a leading text in quotes off; a quote within is doubled.
fn quoted(text: &str) -> Result<Option<(String, &str)>, String> {
    let Some(quote @ ('"' | '\'')) = text.chars().next() else { return Ok(None) };
    let mut out = String::new();
    let mut rest = &text[1..];
    while let Some((part, after)) = rest.split_once(quote) {
        out.push_str(part);
        match after.strip_prefix(quote) {
            Some(after) => {
                out.push(quote);
                rest = after;
            }
            None => return Ok(Some((out, after))),
        }
    }
    Err(format!("the quote in {text} is not closed"))
}

/// A number, `true`, `false`, or a text with or without quotes.
fn value(text: &str) -> Result<Value, String> {
    let text = text.trim();
    if let Some((value, rest)) = quoted(text)? {
        return match rest.trim() {
            "" => Ok(value.into()),
            rest => Err(format!("\"{rest}\" follows the quoted value")),
        };
    }
    Ok(match text {
        "true" => true.into(),
        "false" => false.into(),
        _ => match serde_json::from_str(text) {
            Ok(Value::Number(number)) => number.into(),
            Ok(_) | Err(_) => text.into(),
        },
    })
}

/// Values between commas, also in brackets.
fn list(text: &str) -> Result<Vec<Value>, String> {
    let text = text.trim();
    let bare = [('(', ')'), ('[', ']')]
        .into_iter()
        .find_map(|(open, close)| text.strip_prefix(open)?.strip_suffix(close));
    let mut rest = bare.unwrap_or(text).trim();
    let mut values = Vec::new();
    while !rest.is_empty() {
        let end = match quoted(rest)? {
            Some((_, after)) => rest.len() - after.len() + after.find(',').unwrap_or(after.len()),
            None => rest.find(',').unwrap_or(rest.len()),
        };
        values.push(value(&rest[..end])?);
        rest = rest.get(end + 1..).unwrap_or("").trim_start();
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_column_operator_value() {
        for (text, filter) in [
            ("price > 10", json!(["price", ">", 10])),
            ("price>=-1.5e3", json!(["price", ">=", -1.5e3])),
            ("symbol = AAPL", json!(["symbol", "==", "AAPL"])),
            ("zip == '00712'", json!(["zip", "==", "00712"])),
            ("is_open == true", json!(["is_open", "==", true])),
            ("day < 2024-01-31", json!(["day", "<", "2024-01-31"])),
            ("\"in stock\" is not null", json!(["in stock", "is not null"])),
            ("symbol in A, \"B,C\", 3", json!(["symbol", "in", ["A", "B,C", 3]])),
            ("symbol NOT IN (A,B)", json!(["symbol", "not in", ["A", "B"]])),
            ("name begins with in the", json!(["name", "begins with", "in the"])),
            ("name not contains \"a \"\"b\"\"\"", json!(["name", "not contains", "a \"b\""])),
            ("margin in 1", json!(["margin", "in", [1]])),
        ] {
            assert_eq!(parse(text).unwrap(), filter, "{text}");
        }
    }

    #[test]
    fn what_is_no_filter_says_what_one_is() {
        for (text, wrong) in [
            ("price", "COLUMN OPERATOR VALUE"),
            ("in stock is null", "COLUMN OPERATOR VALUE"),
            ("> 3", "COLUMN OPERATOR VALUE"),
            ("price is 3", "COLUMN OPERATOR VALUE"),
            ("a == \"b", "not closed"),
            ("a == \"b\" c", "follows"),
            ("a is null 3", "COLUMN OPERATOR VALUE"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(wrong), "{text}: {error}");
        }
    }
}

//! The text as the tokeniser sees it.
//!
//! Law: five plain-text steps, in this order, none of which knows what a token is; error columns are counted in the
//! rewritten text. That they reach into comments and literals is what clients' messages and values depend on.

use std::sync::LazyLock;

use regex::Regex;

static COLUMN: LazyLock<Regex> = LazyLock::new(|| pattern(r#""(.*?[^\\])""#));
static LITERAL: LazyLock<Regex> = LazyLock::new(|| pattern(r"'(.*?[^\\])'"));
static PATTERN_CALL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(match|match_all|search|indexof|replace|replace_all|contains)\("));
static WRAPPED: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(.*?,\s*)intern\(('.*?[^\\]')\)"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern compiles")
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rewritten {
    pub(super) text: String,
    /// Column name of each symbol `COLUMNn`.
    pub(super) columns: Vec<(String, String)>,
}

pub(super) fn rewrite(text: &str) -> Rewritten {
    let text = text.replace("true", "True").replace("false", "False");
    let (text, columns) = name_columns(&text);
    let text = name_nulls(&text);
    let text = LITERAL.replace_all(&text, "intern('$1')").into_owned();
    Rewritten { text: unwrap_patterns(&text), columns }
}

/// `"a"` becomes `COLUMNn`, where `n` counts all references before the first to that name.
fn name_columns(text: &str) -> (String, Vec<(String, String)>) {
    let mut columns: Vec<(String, String)> = Vec::new();
    let mut count = 0;
    let named = COLUMN.replace_all(text, |found: &regex::Captures<'_>| {
        let name = &found[1];
        let symbol = match columns.iter().find(|(_, known)| known == name) {
            Some((symbol, _)) => symbol.clone(),
            None => {
                let symbol = format!("COLUMN{count}");
                columns.push((symbol.clone(), name.to_owned()));
                symbol
            }
        };
        count += 1;
        symbol
    });
    (named.into_owned(), columns)
}

/// The word `null` outside single quotes becomes `None`.
fn name_nulls(text: &str) -> String {
    let mut named = String::with_capacity(text.len());
    let mut is_quoted = false;
    let mut rest = text;
    let mut previous = ' ';
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    while let Some(letter) = rest.chars().next() {
        if letter == '\'' {
            is_quoted = !is_quoted;
        }
        if !is_quoted
            && !is_word(previous)
            && let Some(after) = rest.strip_prefix("null")
            && !after.chars().next().is_some_and(is_word)
        {
            named.push_str("None");
            previous = 'e';
            rest = after;
            continue;
        }
        named.push(letter);
        previous = letter;
        rest = &rest[letter.len_utf8()..];
    }
    named
}

/// The first literal argument behind `match(` and its like, on the same line, stays raw.
fn unwrap_patterns(text: &str) -> String {
    let mut text = text.to_owned();
    let mut from = 0;
    while let Some(call) = PATTERN_CALL.find_at(&text, from) {
        from = call.end();
        if let Some(found) = WRAPPED.captures(&text[from..]) {
            let unwrapped = format!("{}{}", &found[1], &found[2]);
            let end = from + found.get(0).map_or(0, |whole| whole.end());
            text.replace_range(from..end, &unwrapped);
            // What was looked at belongs to this call: an inner one finds its literal gone.
            from += unwrapped.len();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_seen() {
        for (text, rewritten) in [
            (r#""a" + "a" + "b""#, "COLUMN0 + COLUMN0 + COLUMN2"),
            ("null + nullable", "None + nullable"),
            ("'null' == null", "intern('null') == None"),
            ("true ? 'untrue' : 1", "True ? intern('unTrue') : 1"),
            ("match(\"s\",'k')", "match(COLUMN0,'k')"),
            ("match (\"s\",'k')", "match (COLUMN0,intern('k'))"),
            ("replace(\"s\",'a','b')", "replace(COLUMN0,'a',intern('b'))"),
            ("contains(\"s\",\n 'k')", "contains(COLUMN0,\n 'k')"),
        ] {
            assert_eq!(rewrite(text).text, rewritten);
        }
    }
}

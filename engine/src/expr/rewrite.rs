//! Rewrites the text before it is tokenised.
//!
//! Invariant: five plain-text steps in this order, none of which is aware of tokens; error columns refer to the
//! rewritten text. The steps also affect comments and literals, on which the published messages and values depend.

use std::sync::LazyLock;

use regex::Regex;

static PATTERN_CALL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(match|match_all|search|indexof|replace|replace_all|contains)\("));
static WRAPPED: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(.*?,\s*)intern\(('.*?[^\\]')\)"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern compiles")
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rewritten {
    pub(super) text: String,
    /// The column name of each symbol `COLUMNn`.
    pub(super) columns: Vec<(String, String)>,
}

pub(super) fn rewrite(text: &str) -> Rewritten {
    let (text, columns) = name_columns(&constants(text));
    let text = name_nulls(&text);
    let text = replace_quoted(&text, b'\'', |literal| format!("intern('{literal}')"));
    Rewritten { text: unwrap_patterns(&text), columns }
}

/// Spells the constants `true` and `false` as the language does, wherever they occur.
pub(super) fn constants(text: &str) -> String {
    text.replace("true", "True").replace("false", "False")
}

/// Replaces `"a"` by `COLUMNn`, where `n` counts all references before the first to that name.
fn name_columns(text: &str) -> (String, Vec<(String, String)>) {
    let mut columns: Vec<(String, String)> = Vec::new();
    let mut count = 0;
    let named = replace_quoted(text, b'"', |name| {
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
    (named, columns)
}

/// Replaces text in `quote`s: the shortest match of any characters of a line, the last of which is no backslash. In one
/// pass: if a quote is not closed on its line, no later one on that line is closed either.
fn replace_quoted(text: &str, quote: u8, mut replace: impl FnMut(&str) -> String) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    let mut at = 0;
    while let Some(open) = bytes[at..].iter().position(|byte| *byte == quote).map(|offset| at + offset) {
        let mut end = open + 1;
        let closing = loop {
            match bytes.get(end) {
                None => break None,
                Some(byte) if *byte == quote && end > open + 1 && bytes[end - 1] != b'\\' => break Some(end),
                // A line end may be the last character before the quote.
                Some(b'\n') if bytes.get(end + 1) != Some(&quote) => break None,
                Some(_) => end += 1,
            }
        };
        match closing {
            Some(close) => {
                out.push_str(&text[done..open]);
                out.push_str(&replace(&text[open + 1..close]));
                (done, at) = (close + 1, close + 1);
            }
            None => at = end.min(bytes.len()),
        }
    }
    out.push_str(&text[done..]);
    out
}

/// Replaces the word `null` outside single quotes by `None`.
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

/// Unwraps the first literal argument after `match(` and similar calls on the same line, so that it stays raw.
fn unwrap_patterns(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    // Up to here, the line has no further literal, so no later call on it has one.
    let mut exhausted_until = 0;
    while let Some(call) = PATTERN_CALL.find_at(text, done) {
        let from = call.end();
        out.push_str(&text[done..from]);
        done = from;
        if from < exhausted_until {
            continue;
        }
        match WRAPPED.captures(&text[from..]) {
            Some(found) => {
                out.push_str(&found[1]);
                out.push_str(&found[2]);
                // The text up to the literal belongs to this call; an inner call does not find the literal again.
                done = from + found.get(0).map_or(0, |whole| whole.end());
            }
            None => exhausted_until = text[from..].find('\n').map_or(text.len(), |line_end| from + line_end),
        }
    }
    out.push_str(&text[done..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

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
            ("concat('','a')", "concat(intern('',')a')"),
        ] {
            assert_eq!(rewrite(text).text, rewritten);
        }
    }

    #[test]
    fn quotes_pair_as_in_the_pattern() {
        let literal = pattern(r"'(.*?[^\\])'");
        let mut random = Random::new(5);
        for _ in 0..20_000 {
            let text: String = (0..12).map(|_| *random.pick(&["'", "'", "a", "\\", "\n", "é"])).collect();
            let wanted = literal.replace_all(&text, "<$1>");
            assert_eq!(replace_quoted(&text, b'\'', |inner| format!("<{inner}>")), wanted, "{text:?}");
        }
    }
}

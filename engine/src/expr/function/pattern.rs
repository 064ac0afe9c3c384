//! Regular expressions.
//!
//! Invariant: the dialect is RE2's: ASCII classes, Unicode properties, no look-around. Differences from the `regex`
//! crate are translated once, when a pattern is compiled.
//!
//! Cost: linear in the length of the text.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "each file evaluates the functions of its own family; `Function` lists all"
)]

use std::fmt::Write;

use regex::{Captures, Regex, RegexBuilder};

use super::super::ast::Argument;
use super::super::eval::Machine;
use super::super::value::{MAX_TEXT, Status, Value, ValueKind};
use super::Function;

/// The largest counted repetition that RE2 accepts.
const MAX_REPEAT: u32 = 1000;
/// Bytes of text that cost as much to search as a node to evaluate.
const STEP_BYTES: usize = 16;

/// Compiles a pattern of the dialect; `None` if it is invalid.
pub(in crate::expr) fn compile(pattern: &str, is_whole: bool) -> Option<Regex> {
    if pattern.is_empty() {
        return None;
    }
    let translated = translate(pattern)?;
    let translated = if is_whole { format!("^(?:{translated})$") } else { translated };
    let translated = if is_whole {
        translated.replacen('^', r"\A", 1).trim_end_matches('$').to_owned() + r"\z"
    } else {
        translated
    };
    RegexBuilder::new(&translated).size_limit(1 << 20).build().ok()
}

fn translate(pattern: &str) -> Option<String> {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern.chars().peekable();
    let mut in_class = false;
    // 1 after a repetition, 2 after a lazy one.
    let mut repeats = 0;
    while let Some(letter) = rest.next() {
        match letter {
            '\\' => match rest.next()? {
                'd' if in_class => out.push_str("0-9"),
                'd' => out.push_str("[0-9]"),
                'D' => out.push_str(if in_class { r"\D" } else { "[^0-9]" }),
                'w' if in_class => out.push_str("0-9A-Za-z_"),
                'w' => out.push_str("[0-9A-Za-z_]"),
                'W' => out.push_str(if in_class { r"\W" } else { "[^0-9A-Za-z_]" }),
                's' if in_class => out.push_str(r"\t\n\f\r "),
                's' => out.push_str(r"[\t\n\f\r ]"),
                'S' => out.push_str(if in_class { r"\S" } else { r"[^\t\n\f\r ]" }),
                'b' => out.push_str(r"(?-u:\b)"),
                'B' => out.push_str(r"(?-u:\B)"),
                'C' => out.push_str("(?s:.)"),
                'Z' => return None,
                'Q' => {
                    let mut quoted = String::new();
                    while let Some(letter) = rest.next() {
                        if letter == '\\' && rest.peek() == Some(&'E') {
                            rest.next();
                            break;
                        }
                        quoted.push(letter);
                    }
                    out.push_str(&regex::escape(&quoted));
                }
                digit @ '1'..='9' => {
                    let _ = digit;
                    return None;
                }
                other => {
                    out.push('\\');
                    out.push(other);
                    if matches!(other, 'p' | 'P' | 'x') && rest.peek() == Some(&'{') {
                        for letter in rest.by_ref() {
                            out.push(letter);
                            if letter == '}' {
                                break;
                            }
                        }
                    }
                }
            },
            '[' if in_class => {
                // A named class keeps its bracket; any other is literal.
                if rest.peek() == Some(&':') { out.push('[') } else { out.push_str(r"\[") }
            }
            '[' => {
                in_class = true;
                out.push('[');
                if rest.peek() == Some(&'^') {
                    out.push('^');
                    rest.next();
                }
                if rest.peek() == Some(&']') {
                    out.push_str(r"\]");
                    rest.next();
                }
            }
            ']' if in_class => {
                // `[:alpha:]` ends with `:]` inside the class.
                let named =
                    out.rfind("[:").is_some_and(|at| !out[at + 2..].contains(']') && out.ends_with(':'));
                in_class = named;
                out.push(']');
            }
            '&' | '~' | '-' if in_class && rest.peek() == Some(&letter) => {
                let _ = write!(out, "\\{letter}");
            }
            '(' if !in_class && rest.peek() == Some(&'?') => {
                rest.next();
                match rest.peek()? {
                    '<' | '=' | '!' | '>' => return None,
                    'P' => out.push_str("(?"),
                    _ => {
                        out.push_str("(?");
                        if rest
                            .clone()
                            .take_while(|letter| letter.is_ascii_alphabetic() || *letter == '-')
                            .any(|flag| flag == 'x')
                        {
                            return None;
                        }
                    }
                }
            }
            '{' if !in_class => {
                let counts: String = rest.clone().take_while(|letter| *letter != '}').collect();
                let is_count = !counts.is_empty()
                    && counts.chars().all(|letter| letter.is_ascii_digit() || letter == ',')
                    && !counts.starts_with(',')
                    && rest.clone().any(|letter| letter == '}');
                if !is_count {
                    out.push_str(r"\{");
                    repeats = 0;
                    continue;
                }
                if counts
                    .split(',')
                    .filter(|count| !count.is_empty())
                    .any(|count| count.parse::<u32>().is_ok_and(|count| count > MAX_REPEAT))
                {
                    return None;
                }
                if repeats > 0 {
                    return None;
                }
                out.push_str(&format!("{{{counts}}}"));
                rest.by_ref().take(counts.chars().count() + 1).for_each(drop);
                repeats = 1;
                continue;
            }
            '*' | '+' | '?' if !in_class => {
                // One repetition, optionally lazy; no further one.
                repeats = match (repeats, letter) {
                    (0, _) => 1,
                    (1, '?') => 2,
                    _ => return None,
                };
                out.push(letter);
                continue;
            }
            other => out.push(other),
        }
        repeats = 0;
    }
    Some(out)
}

pub(super) fn call(machine: &mut Machine<'_>, function: Function, arguments: &[Argument]) -> Value {
    let [Argument::Value(first), Argument::Raw(pattern), rest @ ..] = arguments else {
        return Value::poison(ValueKind::Text);
    };
    let subject = machine.value(first);
    let replacement = match rest {
        [] => None,
        [Argument::Raw(text)] if text.is_empty() => Some(Value::text("")),
        [Argument::Value(node)] => Some(machine.value(node)),
        _ => Some(Value::poison(ValueKind::Text)),
    };
    apply(machine, function, &subject, pattern, replacement)
}

pub(super) fn apply(
    machine: &mut Machine<'_>,
    function: Function,
    subject: &Value,
    pattern: &str,
    replacement: Option<Value>,
) -> Value {
    machine.spend(subject.as_text().map_or(0, str::len) / STEP_BYTES);
    let kind = match function {
        Function::Match | Function::MatchAll | Function::Contains => ValueKind::Boolean,
        _ => ValueKind::Text,
    };
    if subject.kind != ValueKind::Text || subject.status == Status::Poison {
        return Value::poison(kind);
    }
    if function == Function::Contains {
        return match subject.as_text() {
            Some(text) => Value::boolean(text.contains(pattern)),
            None => Value::null(ValueKind::Boolean),
        };
    }
    let Some(compiled) = machine.pattern(pattern, function == Function::MatchAll) else {
        return Value::poison(kind);
    };
    match function {
        Function::Match | Function::MatchAll => match subject.as_text() {
            Some(text) => Value::boolean(compiled.is_match(text)),
            None => Value::null(ValueKind::Boolean),
        },
        Function::Search => {
            if compiled.captures_len() < 2 {
                return Value::poison(ValueKind::Text);
            }
            match subject.as_text() {
                Some(text) if !machine.is_checking() => {
                    let found = compiled
                        .captures(text)
                        .and_then(|found| found.get(1).map(|group| group.as_str().to_owned()));
                    found.map_or(Value::null(ValueKind::Text), Value::text_or_null)
                }
                _ => Value::null(ValueKind::Text),
            }
        }
        _ => replace(machine, function, subject, compiled, replacement),
    }
}

fn replace(
    machine: &mut Machine<'_>,
    function: Function,
    subject: &Value,
    pattern: &Regex,
    replacement: Option<Value>,
) -> Value {
    let replacement = replacement.unwrap_or(Value::poison(ValueKind::Text));
    if replacement.kind != ValueKind::Text || replacement.status == Status::Poison {
        return Value::poison(ValueKind::Text);
    }
    if machine.is_checking() {
        return Value::null(ValueKind::Text);
    }
    // A missing text reads as `null`, on either side; without a match it stays missing.
    let text = subject.as_text().unwrap_or("null");
    let replacement = replacement.as_text().unwrap_or("null").to_owned();
    if text.is_empty() || (!subject.is_valid() && !pattern.is_match(text)) {
        return Value::null(ValueKind::Text);
    }
    if !is_reference_valid(&replacement, pattern.captures_len()) {
        return Value::text(text);
    }
    let most = if function == Function::Replace { 1 } else { usize::MAX };
    let mut replaced = String::new();
    let mut done = 0;
    for found in pattern.captures_iter(text).take(most) {
        let Some(whole) = found.get(0) else { break };
        replaced.push_str(&text[done..whole.start()]);
        expand(&replacement, &found, &mut replaced);
        done = whole.end();
        machine.spend(1 + replacement.len() / STEP_BYTES);
        if machine.stop.is_some() {
            return Value::null(ValueKind::Text);
        }
        if replaced.len() > MAX_TEXT {
            return Value::null(ValueKind::Text);
        }
    }
    replaced.push_str(&text[done..]);
    if replaced.len() > MAX_TEXT {
        return Value::null(ValueKind::Text);
    }
    Value::text(replaced)
}

fn is_reference_valid(replacement: &str, num_groups: usize) -> bool {
    let mut letters = replacement.chars();
    while let Some(letter) = letters.next() {
        if letter == '\\' {
            match letters.next() {
                Some('\\') => {}
                Some(digit) => match digit.to_digit(10) {
                    Some(group) if (group as usize) < num_groups => {}
                    _ => return false,
                },
                None => return false,
            }
        }
    }
    true
}

/// Expands `\0` … `\9` to groups.
fn expand(replacement: &str, found: &Captures<'_>, out: &mut String) {
    let mut letters = replacement.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some(digit) if digit.is_ascii_digit() => {
                let group = digit.to_digit(10).map_or(0, |group| group as usize);
                out.push_str(found.get(group).map_or("", |group| group.as_str()));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
}

//! Splits rewritten text into tokens.
//!
//! Invariant: checks run in this order, and the first failure is reported: tokens, numbers, brackets, adjacent pairs.

use super::{ExpressionError, claims};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    End,
    Number,
    Symbol,
    /// A raw string; its value has the escapes resolved.
    Text,
    /// An operator or a bracket, spelled by its value.
    Mark,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) value: String,
    /// Byte offset in the rewritten text.
    pub(super) at: usize,
}

impl Token {
    pub(super) fn is(&self, mark: &str) -> bool {
        self.kind == TokenKind::Mark && self.value == mark
    }

    /// Returns whether it is this word, ignoring case.
    pub(super) fn is_word(&self, word: &str) -> bool {
        self.kind == TokenKind::Symbol && self.value.eq_ignore_ascii_case(word)
    }
}

/// Longest first.
const MARKS: &[&str] = &[
    "<=>", ":=", "+=", "-=", "*=", "/=", "%=", "<=", ">=", "==", "!=", "<>", "<<", ">>", "+", "-", "*", "/",
    "%", "^", "<", ">", "=", "!", "&", "|", "?", ":", ";", ",", ".", "(", ")", "[", "]", "{", "}", "~",
];

/// Adjacent marks that become one token, even with blanks between. Repeated equality signs count as one.
const JOINS: &[(&str, &str, &str)] = &[
    (":", "=", ":="),
    ("+", "=", "+="),
    ("-", "=", "-="),
    ("*", "=", "*="),
    ("/", "=", "/="),
    ("%", "=", "%="),
    (">", "=", ">="),
    ("<", "=", "<="),
    ("=", "=", "=="),
    ("!", "=", "!="),
    (":", "==", ":="),
    ("+", "==", "+="),
    ("-", "==", "-="),
    ("*", "==", "*="),
    ("/", "==", "/="),
    ("%", "==", "%="),
    (">", "==", ">="),
    ("<", "==", "<="),
    ("=", "==", "=="),
    ("==", "=", "=="),
    ("==", "==", "=="),
    ("!", "==", "!="),
    ("<", ">", "<>"),
    ("<=", ">", "<=>"),
];

const SIGNS: &[(&str, &str, &str)] = &[("+", "-", "-"), ("-", "+", "-"), ("-", "-", "+")];

/// Splits a text; `may_claim`: whether it may name claims of the reader.
pub(super) fn tokenise(text: &str, may_claim: bool) -> Result<Vec<Token>, ExpressionError> {
    let mut tokens = Lexer { text: text.as_bytes(), source: text, at: 0, may_claim }.run()?;
    join(&mut tokens);
    check_numbers(&tokens, text)?;
    check_brackets(&tokens, text)?;
    check_pairs(&tokens, text)?;
    tokens.push(Token { kind: TokenKind::End, value: String::new(), at: text.len() });
    Ok(tokens)
}

struct Lexer<'a> {
    text: &'a [u8],
    source: &'a str,
    at: usize,
    may_claim: bool,
}

impl Lexer<'_> {
    fn run(mut self) -> Result<Vec<Token>, ExpressionError> {
        let mut tokens = Vec::new();
        loop {
            self.skip_blanks()?;
            let Some(&byte) = self.text.get(self.at) else { return Ok(tokens) };
            let at = self.at;
            let token = match byte {
                b'0'..=b'9' => self.number()?,
                b'.' if self.peek(1).is_some_and(|next| next.is_ascii_digit()) => self.number()?,
                b'A'..=b'Z' | b'a'..=b'z' => self.symbol(),
                b'\'' => self.string()?,
                b'$' => self.special()?,
                _ => match MARKS
                    .iter()
                    .find(|mark| self.source.get(at..).is_some_and(|rest| rest.starts_with(**mark)))
                {
                    Some(mark) => {
                        self.at += mark.len();
                        Token { kind: TokenKind::Mark, value: (*mark).to_owned(), at }
                    }
                    None => {
                        let end = (at + 2).min(self.text.len());
                        let mut quoted = String::from_utf8_lossy(&self.text[at..end]).into_owned();
                        if end == at + 1 {
                            quoted.push('\0');
                        }
                        return Err(self.error(at, format!("General token error: {quoted}")));
                    }
                },
            };
            tokens.push(token);
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn error(&self, at: usize, message: String) -> ExpressionError {
        ExpressionError::at(self.source, at, message)
    }

    fn skip_blanks(&mut self) -> Result<(), ExpressionError> {
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | 0x08), _) => self.at += 1,
                (Some(b'#'), _) | (Some(b'/'), Some(b'/')) => {
                    while self.peek(0).is_some_and(|byte| byte != b'\n') {
                        self.at += 1;
                    }
                }
                (Some(b'/'), Some(b'*')) => match self.source[self.at..].find("*/") {
                    Some(length) if length >= 2 => self.at += length + 2,
                    _ => return Err(self.error(self.at, "General token error: /*".into())),
                },
                _ => return Ok(()),
            }
        }
    }

    fn number(&mut self) -> Result<Token, ExpressionError> {
        let at = self.at;
        let (mut has_point, mut has_exponent) = (false, false);
        while let Some(byte) = self.peek(0) {
            match byte {
                b'.' if has_point || has_exponent => {
                    return Err(
                        self.error(at, format!("Invalid numeric token: {}", &self.source[at..self.at]))
                    );
                }
                b'.' => has_point = true,
                b'e' | b'E' if has_exponent => break,
                b'e' | b'E' => {
                    let next = self.peek(1);
                    let is_signed = matches!(next, Some(b'+' | b'-'));
                    if !is_signed && !next.is_some_and(|next| next.is_ascii_digit()) {
                        return Err(
                            self.error(at, format!("Invalid numeric token: {}", &self.source[at..self.at]))
                        );
                    }
                    has_exponent = true;
                    self.at += usize::from(is_signed);
                }
                b'0'..=b'9' => {}
                _ => break,
            }
            self.at += 1;
        }
        Ok(Token { kind: TokenKind::Number, value: self.source[at..self.at].to_owned(), at })
    }

    fn symbol(&mut self) -> Token {
        let at = self.at;
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        while let Some(byte) = self.peek(0) {
            match byte {
                b'.' if self.peek(1).is_some_and(is_part) => self.at += 1,
                byte if is_part(byte) => self.at += 1,
                _ => break,
            }
        }
        Token { kind: TokenKind::Symbol, value: self.source[at..self.at].to_owned(), at }
    }

    fn special(&mut self) -> Result<Token, ExpressionError> {
        let at = self.at;
        let rest = &self.text[at..];
        if self.may_claim && rest.starts_with(claims::PREFIX.as_bytes()) {
            self.at += claims::PREFIX.len();
            self.symbol();
            return Ok(Token { kind: TokenKind::Symbol, value: self.source[at..self.at].to_owned(), at });
        }
        let is_known = rest.len() >= 11
            && rest[1].eq_ignore_ascii_case(&b'f')
            && rest[2].is_ascii_digit()
            && rest[3].is_ascii_digit();
        if !is_known {
            // The quoted bytes may end within a character.
            let quoted = if rest.len() >= 11 { &rest[..4] } else { rest };
            let quoted = String::from_utf8_lossy(quoted);
            return Err(self.error(at, format!("Invalid special function token: {quoted}")));
        }
        self.at += 4;
        Ok(Token { kind: TokenKind::Symbol, value: self.source[at..self.at].to_owned(), at })
    }

    fn string(&mut self) -> Result<Token, ExpressionError> {
        let quote = self.at;
        let begin = quote + 1;
        if begin >= self.text.len() {
            return Err(self.error(quote, "Invalid string token: '".into()));
        }
        self.at = begin;
        let mut value = Vec::new();
        let bad = |lexer: &Self, end: usize| {
            let text = String::from_utf8_lossy(&lexer.text[begin..end]).into_owned();
            lexer.error(begin, format!("Invalid string token: {text}"))
        };
        loop {
            let Some(byte) = self.peek(0) else { return Err(bad(self, self.at)) };
            match byte {
                b'\'' => break,
                b'\\' => {
                    let Some(next) = self.peek(1) else { return Err(bad(self, self.at + 1)) };
                    match escape(&self.text[self.at + 1..]) {
                        Some((byte, length)) => {
                            value.push(byte);
                            self.at += 1 + length;
                        }
                        None if next == b'0' && self.text.len() > self.at + 4 => {
                            return Err(bad(self, self.at + 1));
                        }
                        None => {
                            value.push(next);
                            self.at += 2;
                        }
                    }
                }
                0x80.. => return Err(bad(self, self.at)),
                byte if byte.is_ascii_graphic() || byte.is_ascii_whitespace() || byte == 0x0b => {
                    value.push(byte);
                    self.at += 1;
                }
                _ => return Err(bad(self, self.at)),
            }
        }
        self.at += 1;
        Ok(Token { kind: TokenKind::Text, value: String::from_utf8_lossy(&value).into_owned(), at: begin })
    }
}

/// Returns the byte denoted by an escape (after its backslash), and its length.
fn escape(rest: &[u8]) -> Option<(u8, usize)> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        // Letters count from zero, as in the published language.
        b'a'..=b'f' => Some(byte - b'a'),
        b'A'..=b'F' => Some(byte - b'A'),
        _ => None,
    };
    match rest {
        [b'0', b'x' | b'X', high, low, ..] => Some((digit(*high)? << 4 | digit(*low)?, 4)),
        [b'0', ..] => None,
        [b'n', ..] => Some((b'\n', 1)),
        [b'r', ..] => Some((b'\r', 1)),
        [b't', ..] => Some((b'\t', 1)),
        [b'a', ..] => Some((0x07, 1)),
        [b'b', ..] => Some((0x08, 1)),
        [b'f', ..] => Some((0x0c, 1)),
        [b'v', ..] => Some((0x0b, 1)),
        [other, ..] => Some((*other, 1)),
        [] => None,
    }
}

fn join(tokens: &mut Vec<Token>) {
    merge(tokens, JOINS);
    // `[ * ]` is one symbol.
    let mut joined: Vec<Token> = Vec::with_capacity(tokens.len());
    for token in tokens.drain(..) {
        let is_end = token.is("]")
            && joined.last().is_some_and(|last| last.is("*"))
            && joined.len() > 1
            && joined[joined.len() - 2].is("[");
        if is_end {
            joined.pop();
            if let Some(first) = joined.last_mut() {
                *first = Token { kind: TokenKind::Symbol, value: "[*]".into(), at: first.at };
            }
        } else {
            joined.push(token);
        }
    }
    *tokens = joined;
    merge(tokens, SIGNS);
}

/// Merges adjacent tokens; a merged token may merge again with the one before it.
fn merge(tokens: &mut Vec<Token>, pairs: &[(&str, &str, &str)]) {
    let mut merged: Vec<Token> = Vec::with_capacity(tokens.len());
    for token in tokens.drain(..) {
        merged.push(token);
        while let [.., left, right] = merged.as_mut_slice() {
            let Some((_, _, both)) =
                pairs.iter().find(|(first, second, _)| left.is(first) && right.is(second))
            else {
                break;
            };
            left.value = (*both).to_owned();
            merged.pop();
        }
    }
    *tokens = merged;
}

/// Returns the value of a number as the published language computes it: integer part and fraction separately, then the
/// power of ten.
pub(super) fn number_value(text: &str) -> Option<f64> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    if !(-308..=308).contains(&exponent) {
        return None;
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // More decimal places than powers of ten.
    if fraction.len() > 308 {
        return None;
    }
    let digits = |text: &str| text.bytes().fold(0.0, |value, digit| value * 10.0 + f64::from(digit - b'0'));
    let value = digits(whole) + digits(fraction) / power_of_ten(fraction.len() as i32);
    Some(match exponent {
        0 => value,
        1.. => value * power_of_ten(exponent),
        _ => value / power_of_ten(-exponent),
    })
}

/// Returns the nearest float to a power of ten, which repeated multiplication would miss.
fn power_of_ten(exponent: i32) -> f64 {
    format!("1e{exponent}").parse().unwrap_or(f64::INFINITY)
}

fn check_numbers(tokens: &[Token], text: &str) -> Result<(), ExpressionError> {
    for token in tokens {
        if token.kind == TokenKind::Number && number_value(&token.value).is_none() {
            return Err(ExpressionError::at(
                text,
                token.at,
                format!("Invalid numeric token: '{}'", token.value),
            ));
        }
    }
    Ok(())
}

fn check_brackets(tokens: &[Token], text: &str) -> Result<(), ExpressionError> {
    let mut open: Vec<(&str, usize)> = Vec::new();
    for token in tokens.iter().filter(|token| token.kind == TokenKind::Mark) {
        match token.value.as_str() {
            "(" => open.push((")", token.at)),
            "[" => open.push(("]", token.at)),
            "{" => open.push(("}", token.at)),
            closing @ (")" | "]" | "}") => match open.pop() {
                Some((expected, _)) if expected == closing => {}
                Some((expected, at)) => {
                    return Err(ExpressionError::at(text, at, format!("Mismatched brackets: '{expected}'")));
                }
                None => {
                    return Err(ExpressionError::at(
                        text,
                        token.at,
                        format!("Mismatched brackets: '{closing}'"),
                    ));
                }
            },
            _ => {}
        }
    }
    match open.pop() {
        Some((expected, at)) => {
            Err(ExpressionError::at(text, at, format!("Mismatched brackets: '{expected}'")))
        }
        None => Ok(()),
    }
}

fn check_pairs(tokens: &[Token], text: &str) -> Result<(), ExpressionError> {
    for pair in tokens.windows(2) {
        if is_bad_pair(&pair[0], &pair[1]) {
            let message = format!("Invalid token sequence: '{}' and '{}'", pair[0].value, pair[1].value);
            return Err(ExpressionError::at(text, pair[0].at, message));
        }
    }
    Ok(())
}

fn is_bad_pair(left: &Token, right: &Token) -> bool {
    let is_value = |token: &Token| matches!(token.kind, TokenKind::Number | TokenKind::Text);
    if is_value(left) && is_value(right) {
        return true;
    }
    if left.kind != TokenKind::Mark || right.kind != TokenKind::Mark {
        return false;
    }
    let is_sign = |mark: &str| matches!(mark, "+" | "-");
    let is_plain = |mark: &str| {
        matches!(
            mark,
            "+" | "-" | "*" | "/" | "%" | "^" | "<" | ">" | "=" | "<=" | ">=" | "==" | "!=" | "<>" | ":="
        )
    };
    let is_operator = |mark: &str| is_plain(mark) || matches!(mark, "+=" | "-=" | "*=" | "/=" | "%=" | "<=>");
    let (left, right) = (left.value.as_str(), right.value.as_str());
    match (left, right) {
        ("(" | "[" | "{", ";" | "," | "." | "!") | ("!", ")" | "]" | "}") | (")", ":=") => true,
        ("(" | "[" | "{", right) => is_operator(right) && !is_sign(right),
        (left, ")" | "]" | "}") if is_operator(left) || left == "," => true,
        ("?" | ":" | ",", ":" | ",") | ("<<" | ">>", "=") => true,
        (left, ":" | ",") => is_plain(left),
        ("?" | ":" | ",", right) => is_plain(right) && !is_sign(right),
        (left, right) => is_plain(left) && is_plain(right) && !is_sign(right),
    }
}

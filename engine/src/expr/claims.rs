//! Claims of a reader in expressions of a policy: `$claims.desk` is the text that the reader's claim has.
//!
//! Invariant: a claim becomes one token, after the text was split into tokens. So its value is a text whatever it contains;
//! it is never read as part of the expression.

use std::collections::BTreeMap;

use super::ExpressionError;
use super::lexer::{Token, TokenKind};

/// What a claim's name is preceded by.
pub(super) const PREFIX: &str = "$claims.";

/// The claims that an expression may name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Claims<'a> {
    /// None: it is an expression of a client.
    Refused,
    /// All of them, each with an empty value: the expression is only checked.
    Any,
    /// Those of a reader.
    Of(&'a BTreeMap<String, String>),
}

impl Claims<'_> {
    /// The value of the claim of this name, which is spelled as the rewritten text has it.
    fn value(&self, name: &str) -> Option<String> {
        match self {
            Claims::Refused => None,
            Claims::Any => Some(String::new()),
            Claims::Of(claims) => {
                let named = |(known, _): &(&String, &String)| super::rewrite::constants(known) == name;
                claims.iter().find(named).map(|(_, value)| value.clone())
            }
        }
    }
}

/// The name of the claim that a token stands for.
fn claim(token: &Token) -> Option<&str> {
    (token.kind == TokenKind::Symbol).then(|| token.value.strip_prefix(PREFIX))?
}

/// The claims that tokens name, in order.
pub(super) fn named(tokens: &[Token]) -> Vec<String> {
    tokens.iter().filter_map(claim).map(str::to_owned).collect()
}

/// Replaces each claim by the call that makes a text of a literal.
///
/// # Errors
///
/// The reader has no claim of a name.
pub(super) fn substitute(tokens: Vec<Token>, claims: Claims<'_>) -> Result<Vec<Token>, ExpressionError> {
    let mut replaced = Vec::with_capacity(tokens.len());
    for token in tokens {
        let Some(name) = claim(&token) else {
            replaced.push(token);
            continue;
        };
        let value = claims
            .value(name)
            .ok_or_else(|| ExpressionError::plain(format!("there is no claim \"{name}\" of the reader")))?;
        let at = token.at;
        let token = |kind: TokenKind, value: &str| Token { kind, value: value.to_owned(), at };
        replaced.push(token(TokenKind::Symbol, "intern"));
        replaced.push(token(TokenKind::Mark, "("));
        replaced.push(token(TokenKind::Text, &value));
        replaced.push(token(TokenKind::Mark, ")"));
    }
    Ok(replaced)
}

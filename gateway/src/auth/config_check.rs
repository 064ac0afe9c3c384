//! Checks the `[auth]` section before it applies.

use std::collections::HashSet;

use super::{jwt_crypto, keys, passwords};
use crate::config::auth::{AuthConfig, JwtConfig, is_private_url};
use crate::config::{HOURS, LEEWAY, check_range};
use crate::setup_error::SetupError;

/// Validates the section.
///
/// # Errors
///
/// Names the user, key or provider at fault, and what is wrong with it.
pub fn check(config: &AuthConfig) -> Result<(), SetupError> {
    check_range("auth.session_hours", config.session_hours, HOURS)?;
    let mut names = HashSet::new();
    for user in &config.users {
        check_name("auth.user", &user.name, &mut names)?;
        passwords::check_hash(user.password.expose()).map_err(|reason| SetupError::Setting {
            key: "auth.user",
            reason: format!("the password of \"{}\" {reason}", user.name),
        })?;
    }
    for key in &config.keys {
        check_name("auth.key", &key.name, &mut names)?;
        keys::parse_hash(key.hash.expose()).map_err(|reason| SetupError::Setting {
            key: "auth.key",
            reason: format!("the hash of \"{}\" {reason}", key.name),
        })?;
    }
    for (position, jwt) in config.jwt.iter().enumerate() {
        check_provider(jwt)?;
        if config.jwt[..position].iter().any(|other| other.issuer == jwt.issuer) {
            return Err(fault_of(jwt, "is configured twice"));
        }
    }
    Ok(())
}

fn check_name<'a>(key: &'static str, name: &'a str, names: &mut HashSet<&'a str>) -> Result<(), SetupError> {
    let fault = |reason: String| Err(SetupError::Setting { key, reason });
    if name.is_empty() || name.contains(':') || name.chars().any(char::is_control) {
        return fault(format!("\"{name}\" is not a name; it must have no colon and not be empty"));
    }
    if !names.insert(name) {
        return fault(format!("\"{name}\" is configured twice"));
    }
    Ok(())
}

fn fault_of(jwt: &JwtConfig, reason: &str) -> SetupError {
    SetupError::Setting { key: "auth.jwt", reason: format!("\"{}\" {reason}", jwt.issuer) }
}

fn check_provider(jwt: &JwtConfig) -> Result<(), SetupError> {
    let keys = jwt.jwks.as_deref().filter(|keys| keys.contains("://")).into_iter();
    for url in std::iter::once(jwt.issuer.as_str()).chain(keys) {
        if !is_private_url(url) {
            let reason = format!("must be an https URL (http only on loopback): \"{url}\"");
            return Err(fault_of(jwt, &reason));
        }
    }
    if jwt.audience.0.is_empty() || jwt.audience.0.iter().any(String::is_empty) {
        return Err(fault_of(jwt, "needs an audience, which its tokens must name"));
    }
    if jwt.algorithms.is_empty() {
        return Err(fault_of(jwt, "needs at least one algorithm"));
    }
    for algorithm in &jwt.algorithms {
        if jwt_crypto::parse_algorithm(algorithm).is_none() {
            let reason = format!(
                "cannot have tokens signed by \"{algorithm}\"; choose of {}",
                jwt_crypto::ALGORITHMS.join(", ")
            );
            return Err(fault_of(jwt, &reason));
        }
    }
    if !jwt.name.starts_with("$claims.") {
        return Err(fault_of(jwt, "has a name that is not \"$claims.\" and a claim"));
    }
    if let [roles] = &jwt.roles.0[..]
        && roles.starts_with('$')
        && !roles.starts_with("$claims.")
    {
        return Err(fault_of(jwt, "has roles that are neither a list nor \"$claims.\" and a claim"));
    }
    check_range("auth.jwt.leeway_seconds", jwt.leeway_seconds, LEEWAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::passwords;

    fn checked(text: &str) -> Result<AuthConfig, String> {
        let config: AuthConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        check(&config).map_err(|error| error.to_string())?;
        Ok(config)
    }

    #[test]
    fn errors_name_the_entry_at_fault() {
        let hash = passwords::hash_lightly("p");
        let user = |name: &str| format!("[[user]]\nname = \"{name}\"\npassword = \"{hash}\"\n");
        let jwt = |more: &str| format!("[[jwt]]\nissuer = \"https://id.test\"\naudience = \"a\"\n{more}");
        for (text, wrong) in [
            ("session_hours = 0".into(), "auth.session_hours: 0 is not between"),
            (user("a") + &user("a"), "auth.user: \"a\" is configured twice"),
            (user("a:b"), "\"a:b\" is not a name"),
            ("[[user]]\nname = \"ann\"\npassword = \"secret\"".into(), "the password of \"ann\" is no hash"),
            ("[[key]]\nname = \"feed\"\nhash = \"psk_x\"".into(), "the hash of \"feed\" is not"),
            ("[[jwt]]\nissuer = \"https://id.test\"".into(), "audience"),
            ("[[jwt]]\nissuer = \"http://id.test\"\naudience = \"a\"".into(), "must be an https URL"),
            ("[[jwt]]\nissuer = \"https://id.test\"\naudience = \"\"".into(), "needs an audience"),
            (jwt("algorithms = [\"none\"]"), "\"none\""),
            (jwt("algorithms = [\"HS256\"]"), "\"HS256\""),
            (jwt("algorithms = []"), "at least one algorithm"),
            (jwt("name = \"sub\""), "\"$claims.\""),
            (jwt("leeway_seconds = 4000"), "leeway_seconds: 4000"),
            (jwt("") + &jwt(""), "is configured twice"),
            ("sesion_hours = 3".into(), "sesion_hours"),
        ] {
            let error = checked(&text).unwrap_err();
            assert!(error.contains(wrong), "{text}: {error}");
        }
    }

    #[test]
    fn claims_are_texts_and_secrets_are_not_printed() {
        let hash = passwords::hash_lightly("p");
        let text = format!(
            "[[user]]\nname = \"ann\"\npassword = \"{hash}\"\nclaims = {{ desk = \"fx\", level = 3, chief = true, share = 0.5 }}"
        );
        let config = checked(&text).unwrap();
        let claims: Vec<&str> = config.users[0].claims.values().map(String::as_str).collect();
        assert_eq!(claims, ["true", "fx", "3", "0.5"]);
        assert!(!format!("{config:?}").contains("argon2"), "{config:?}");
    }
}

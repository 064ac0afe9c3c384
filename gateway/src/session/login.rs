//! A token that a client sends on its open connection, before its login expires: the text message `{"token": "…"}`.
//!
//! Invariant: the token is of the same sender with the same rights, so all that the connection has opened stays as it is.

use std::net::{IpAddr, Ipv4Addr};

use super::resume::MAX_CONTROL_BYTES;
use crate::auth::{AuthError, Authenticator, Credentials, Identity};
use crate::tuning;

/// Why a token does not renew a login.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokenError {
    #[error(transparent)]
    Refused(#[from] AuthError),
    #[error("the token is of another sender or of other rights; connect again")]
    OtherSender,
}

/// Maximum bytes of a client's text message.
pub(super) fn max_text_bytes(auth: &Authenticator) -> usize {
    if auth.is_required() { tuning::CREDENTIAL_BYTES } else { MAX_CONTROL_BYTES }
}

/// The identity of a token that renews a login.
///
/// # Errors
///
/// The token is not valid, or not of this sender.
pub(super) async fn renew(
    auth: Authenticator,
    before: Identity,
    token: String,
) -> Result<Identity, TokenError> {
    let peer = before.principal.peer();
    let from = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.address);
    let identity = auth.authenticate(Some(&Credentials::Bearer(token)), from, "websocket").await?;
    if identity.principal != before.principal {
        return Err(TokenError::OtherSender);
    }
    Ok(identity)
}

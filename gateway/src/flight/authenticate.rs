//! Who calls: credentials in the header `authorization`, or a handshake that exchanges a password for a token.

use std::net::{IpAddr, Ipv4Addr};

use arrow_flight::{BasicAuth, HandshakeRequest, HandshakeResponse};
use futures::StreamExt;
use proscenium_engine::hosting::{Peer, Principal};
use prost::Message as _;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Response, Status, Streaming};

use super::ReplyStream;
use crate::auth::{AuthError, Authenticator, Credentials, Identity};
use crate::wire_errors::flight_error;

const HEADER: &str = "authorization";

/// Authenticates the sender of a call.
///
/// # Errors
///
/// `UNAUTHENTICATED`, or why the credentials cannot be checked now.
pub(super) async fn sender<T>(auth: &Authenticator, request: &Request<T>) -> Result<Principal, Status> {
    let (credentials, from) = (credentials(request).map_err(refusal)?, address(request));
    identify(auth, credentials, from).await.map(|identity| identity.principal)
}

async fn identify(
    auth: &Authenticator,
    credentials: Option<Credentials>,
    from: IpAddr,
) -> Result<Identity, Status> {
    let identity = auth.authenticate(credentials.as_ref(), from, "flight").await.map_err(refusal)?;
    let peer = Peer { address: from, endpoint: "flight" };
    Ok(Identity { principal: identity.principal.with_peer(peer), ..identity })
}

/// Exchanges the credentials of a handshake for a token: those of the header (`authenticate_basic_token`), or those of the first
/// message (`BasicAuth`).
pub(super) async fn handshake(
    auth: &Authenticator,
    request: Request<Streaming<HandshakeRequest>>,
) -> Result<Response<ReplyStream<HandshakeResponse>>, Status> {
    if !auth.is_required() {
        // An empty reply satisfies clients that handshake.
        return Ok(Response::new(Box::pin(futures::stream::empty())));
    }
    let from = address(&request);
    let given = match credentials(&request).map_err(refusal)? {
        Some(given) => Some(given),
        None => match request.into_inner().next().await.transpose()? {
            Some(message) => Some(of_payload(&message)?),
            None => None,
        },
    };
    let token = match given {
        Some(Credentials::Basic { name, password }) => {
            auth.log_in(&name, &password, from, "flight").await.map_err(refusal)?.0
        }
        // A token that is valid is its own result.
        Some(Credentials::Bearer(token)) => {
            identify(auth, Some(Credentials::Bearer(token.clone())), from).await?;
            token
        }
        Some(Credentials::Ticket(_)) | None => return Err(refusal(AuthError::Missing)),
    };
    let bearer = MetadataValue::try_from(format!("Bearer {token}"))
        .map_err(|_| Status::internal("a token is no header"))?;
    let reply = HandshakeResponse { protocol_version: 0, payload: token.into_bytes().into() };
    let mut response: Response<ReplyStream<HandshakeResponse>> =
        Response::new(Box::pin(futures::stream::iter([Ok(reply)])));
    response.metadata_mut().insert(HEADER, bearer);
    Ok(response)
}

fn of_payload(message: &HandshakeRequest) -> Result<Credentials, Status> {
    let basic = BasicAuth::decode(&message.payload[..])
        .map_err(|_| refusal(AuthError::Malformed("is absent, and the handshake is no BasicAuth")))?;
    Ok(Credentials::Basic { name: basic.username, password: basic.password })
}

fn credentials<T>(request: &Request<T>) -> Result<Option<Credentials>, AuthError> {
    request.metadata().get(HEADER).map(|header| Credentials::parse(header.as_bytes())).transpose()
}

fn address<T>(request: &Request<T>) -> IpAddr {
    request.remote_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip())
}

fn refusal(error: AuthError) -> Status {
    let code = match &error {
        AuthError::Missing | AuthError::Malformed(_) | AuthError::WrongPassword | AuthError::Token(_) => {
            Code::Unauthenticated
        }
        AuthError::TooManyFailures { .. } => Code::ResourceExhausted,
        AuthError::Busy | AuthError::Unavailable => Code::Unavailable,
    };
    flight_error(code, error.code(), &error.to_string())
}

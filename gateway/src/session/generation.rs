//! Determines the generation of a client from its handshake.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderName, ORIGIN, SEC_WEBSOCKET_EXTENSIONS, USER_AGENT};
use proscenium_engine::config::Generation;
use proscenium_proto::client_generation::{self, BadVersion, ClientGeneration};

/// Determines a client's generation: the version in `?client=` of the URL, or else an assumption. Browsers and node run
/// a client of the older generation, since no newer one is published for them; other clients get `default`.
///
/// # Errors
///
/// The value of `?client=` is not a version.
pub(super) fn of(request: &HttpRequest, default: Generation) -> Result<ClientGeneration, BadVersion> {
    let pairs = request.query_string().split('&').filter_map(|pair| pair.split_once('='));
    if let Some((_, version)) = pairs.into_iter().find(|(key, _)| *key == "client") {
        return client_generation::parse(version).map(ClientGeneration::known);
    }
    let runs_javascript = is_browser_or_node(request.headers());
    Ok(ClientGeneration::assumed(if runs_javascript { Generation::V5_5 } else { default }))
}

/// Recognizes browsers by their user agent, and node's `ws`, which sends neither a user agent nor an origin, by the
/// text of its compression offer.
fn is_browser_or_node(headers: &HeaderMap) -> bool {
    const OFFER_OF_WS: &str = "permessage-deflate; client_max_window_bits";
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    match text(USER_AGENT) {
        Some(agent) => agent.starts_with("Mozilla/") || agent.to_ascii_lowercase().starts_with("node"),
        None => text(ORIGIN).is_none() && text(SEC_WEBSOCKET_EXTENSIONS) == Some(OFFER_OF_WS),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn found(uri: &str, headers: &[(&str, &str)]) -> ClientGeneration {
        let request =
            headers.iter().fold(TestRequest::with_uri(uri), |request, header| request.insert_header(*header));
        of(&request.to_http_request(), Generation::V5_6).unwrap()
    }

    #[test]
    fn the_handshake_determines_the_generation() {
        const OFFER: (&str, &str) =
            ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits");
        let (old, new) =
            (ClientGeneration::assumed(Generation::V5_5), ClientGeneration::assumed(Generation::V5_6));
        let browser = ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/140");
        assert_eq!(found("/websocket", &[browser, OFFER]), old);
        assert_eq!(found("/websocket", &[("User-Agent", "node"), OFFER]), old);
        assert_eq!(found("/websocket", &[OFFER]), old, "node's ws");
        assert_eq!(found("/websocket", &[("User-Agent", "Python/3.11 websockets/17.4"), OFFER]), new);
        assert_eq!(found("/websocket", &[("Origin", "http://127.0.0.1")]), new, "Python's websocket-client");
        assert_eq!(found("/websocket", &[]), new);
        let known = ClientGeneration::known;
        assert_eq!(found("/websocket?a=b&client=5.6", &[browser]), known(Generation::V5_6));
        assert_eq!(found("/websocket?client=5.5.1", &[]), known(Generation::V5_5));
        let wrong = TestRequest::with_uri("/websocket?client=new").to_http_request();
        assert!(of(&wrong, Generation::V5_6).is_err());
    }
}

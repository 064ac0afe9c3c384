//! Sealed links.
//!
//! | request | effect |
//! |---|---|
//! | `POST /api/v1/links` | JSON `{"table", "view", "rows", "expires_seconds"}`: a link that opens that, for reading |
//! | `GET /api/v1/links?token=&format=` | downloads what a link opens |

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use proscenium_engine::config::ViewConfig;
use serde::Deserialize;
use serde_json::{Value, json};

use super::authenticate::{RequestSender, address, answer};
use super::download::{self, DownloadFormat};
use super::{Shared, finish};
use crate::audit::AuditEvent;
use crate::auth::http_client::percent_encode;
use crate::auth::links::{Maker, SealedLink};
use crate::auth::{Authenticator, Identity};
use crate::flight::parse_view;
use crate::transient_view::TransientView;
use crate::wire_errors::{http_error, to_http};

/// A link holds for up to a year, and by default for a day.
const LONGEST_SECONDS: u64 = 31_536_000;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(
        web::resource("/api/v1/links")
            .default_service(web::to(async || finish::method_not_allowed("GET, HEAD, POST")))
            .route(web::get().to(open))
            .route(web::post().to(seal)),
    );
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkOrder {
    table: String,
    view: Option<Value>,
    rows: Option<String>,
    #[serde(default = "a_day")]
    expires_seconds: u64,
}

fn a_day() -> u64 {
    86_400
}

async fn seal(
    shared: web::Data<Shared>,
    auth: web::Data<Authenticator>,
    identity: web::ReqData<Identity>,
    order: web::Json<LinkOrder>,
    request: HttpRequest,
) -> HttpResponse {
    let LinkOrder { table, view, rows, expires_seconds } = order.into_inner();
    let refuse = |text: &str| http_error(StatusCode::BAD_REQUEST, "bad_option", text);
    let Some(maker) = Maker::of(&identity) else {
        return refuse("a link is sealed by a user, a key or a sender of an identity provider");
    };
    if !(1..=LONGEST_SECONDS).contains(&expires_seconds) {
        return refuse(&format!("expires_seconds: {expires_seconds} is not between 1 and {LONGEST_SECONDS}"));
    }
    let config = match view_config(&view) {
        Ok(config) => config,
        Err(text) => return refuse(&text),
    };
    let expires = SystemTime::now() + Duration::from_secs(expires_seconds);
    let expires = expires.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let layout = view.as_ref().map(layout_of).unwrap_or_default();
    let link = SealedLink { table: table.clone(), view, rows, expires, maker };
    // What the bearer will see is opened once, so that a link that shows nothing is not made.
    let bearer = match auth.bearer(&link) {
        Ok(bearer) => bearer,
        Err(error) => return answer(&error),
    };
    let tried = TransientView::open(&shared.router, bearer.principal, &table, config).await;
    let refusal = tried.as_ref().err().map(ToString::to_string);
    auth.audit().record(&AuditEvent {
        event: "link",
        who: identity.principal.name(),
        from: Some(address(&request)),
        via: "http",
        table: Some(&table),
        refusal: refusal.as_deref(),
    });
    if let Err(fault) = tried {
        if let Some(rows) = link.rows.as_deref().filter(|_| fault.code() == "policy_unfit") {
            let text = format!("rows: {rows} is no condition for the rows of table \"{table}\"");
            return http_error(StatusCode::BAD_REQUEST, "bad_expression", &text);
        }
        return to_http(&fault, &table);
    }
    let token = auth.seal(&link);
    HttpResponse::Created().json(json!({
        "url": format!("/?link={token}#server/{}{layout}", percent_encode(&table)),
        "download": format!("/api/v1/links?token={token}"),
        "token": token,
        "expires_seconds": expires_seconds,
    }))
}

/// The part of the page's address that shows a view.
fn layout_of(view: &Value) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    format!("?layout={}", URL_SAFE_NO_PAD.encode(view.to_string()))
}

fn view_config(view: &Option<Value>) -> Result<ViewConfig, String> {
    view.as_ref().map_or_else(|| Ok(ViewConfig::default()), parse_view)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Opened {
    token: String,
    format: Option<String>,
}

async fn open(
    shared: web::Data<Shared>,
    auth: web::Data<Authenticator>,
    RequestSender(sender): RequestSender,
    query: web::Query<Opened>,
    request: HttpRequest,
) -> HttpResponse {
    let link = match auth.read_link(&query.token) {
        Ok(link) => link,
        Err(error) => return answer(&error),
    };
    let config = match view_config(&link.view) {
        Ok(config) => config,
        Err(text) => return http_error(StatusCode::BAD_REQUEST, "bad_option", &text),
    };
    let format = match DownloadFormat::requested(query.format.as_deref(), &request) {
        Ok(format) => format,
        Err(fault) => return to_http(&fault.into(), &link.table),
    };
    download::send(&shared, sender, &link.table, config, format).await
}

//! The HTTP routes: health, metrics, tables for scripts, the page, and the WebSocket handshake.
//!
//! Invariant: engine work runs on worker threads, not in handlers. Errors are JSON `{"error": …}` and name their cause.

pub mod activity;
pub mod assets;
pub mod authenticate;
mod body;
mod cookies;
mod download;
mod embedded;
mod entity_tag;
pub mod finish;
mod health;
mod idempotency;
mod key_lines;
mod links;
mod login;
mod metrics;
mod oidc;
pub mod site_check;
mod status;
mod tables;
mod upload;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource, guard, middleware};

use proscenium_actors::data_directory::{RecoveryPhase, RecoveryProgress, RecoveryState};

use crate::command_router::CommandRouter;
use crate::epoch::Epoch;
use crate::metrics::Metrics;
use crate::page::PageSource;
use crate::quotas::Quotas;
use crate::session::{self, ServerContext};
use crate::sites::SiteGuard;
use crate::wire_errors::http_error;

pub use embedded::Recompressed;
pub use entity_tag::FileTags;
pub use idempotency::UsedKeys;
pub use upload::MaxUpload;

/// The state that the handlers share.
#[derive(Debug, Clone)]
pub struct Shared {
    pub router: CommandRouter,
    pub metrics: Metrics,
    pub page: PageSource,
    pub readiness: Readiness,
    /// This start of the server, in entity tags.
    pub epoch: Epoch,
    pub file_tags: FileTags,
    pub recompressed: Recompressed,
    pub used_keys: UsedKeys,
    /// What each sender uses.
    pub quotas: Quotas,
}

/// Whether the server accepts new work: false until all tables are loaded, again while it drains, and for good once it has
/// failed.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<ReadinessState>);

#[derive(Debug, Default)]
struct ReadinessState {
    is_ready: AtomicBool,
    /// Why the server ends, if it has failed.
    failure: OnceLock<String>,
    /// How far the start has come.
    progress: Arc<RecoveryProgress>,
}

impl Readiness {
    /// Changes the state.
    pub fn set(&self, is_ready: bool) {
        self.0.is_ready.store(is_ready, Ordering::Release);
    }

    /// How far the start has come.
    pub fn progress(&self) -> &Arc<RecoveryProgress> {
        &self.0.progress
    }

    /// The progress of a start that is not over.
    pub fn recovery(&self) -> Option<RecoveryState> {
        Some(self.0.progress.read()).filter(|state| state.phase != RecoveryPhase::Done)
    }

    /// Notes that the server has failed, and why.
    pub fn fail(&self, reason: String) {
        let _ = self.0.failure.set(reason);
        self.set(false);
    }

    /// Why the server has failed, if so.
    pub fn failure(&self) -> Option<&str> {
        self.0.failure.get().map(String::as_str)
    }

    /// Whether the server is ready.
    pub fn is_ready(&self) -> bool {
        self.failure().is_none() && self.0.is_ready.load(Ordering::Acquire)
    }
}

/// Registers all routes. `max_upload` bounds an upload; `sites` decides which sites' pages may use the server.
pub fn routes(
    config: &mut ServiceConfig,
    server: &ServerContext,
    shared: &Shared,
    sites: &SiteGuard,
    max_upload: MaxUpload,
) {
    let is_websocket = guard::fn_guard(|request| request.head().uri.path().ends_with("/websocket"));
    config
        .app_data(web::Data::new(server.clone()))
        .app_data(web::Data::new(shared.clone()))
        .app_data(web::Data::new(sites.clone()))
        .app_data(web::Data::new(max_upload))
        .service(readable("/{path:.*}").guard(is_websocket).route(web::get().to(connect)))
        .service(readable("/health/live").route(web::get().to(health::live)))
        .service(readable("/health/ready").route(web::get().to(health::ready)))
        .service(
            readable("/metrics").wrap(middleware::Compress::default()).route(web::get().to(metrics::scrape)),
        )
        .service(
            readable("/api/v1/tables")
                .wrap(middleware::Compress::default())
                .route(web::get().to(tables::list)),
        )
        .service(readable("/api/v1/tables/{table}/status").route(web::get().to(tables::status)))
        .service(
            readable("/api/v1/status")
                .wrap(middleware::Compress::default())
                .route(web::get().to(status::read)),
        )
        .service(
            web::resource("/api/v1/tables/{table}")
                .wrap(middleware::Compress::default())
                .default_service(web::to(async || finish::method_not_allowed("GET, HEAD, PUT, POST, DELETE")))
                .route(web::get().to(download::download))
                .route(web::put().to(upload::put))
                .route(web::post().to(upload::post))
                .route(web::delete().to(tables::delete)),
        )
        .service(
            web::resource("/api/v1/tables/{table}/rows")
                .default_service(web::to(async || finish::method_not_allowed("DELETE")))
                .route(web::delete().to(upload::remove)),
        )
        .configure(login::routes)
        .configure(oidc::routes)
        .configure(links::routes)
        .default_service(web::to(other));
}

/// A resource that is only read.
fn readable(path: &str) -> Resource {
    web::resource(path).default_service(web::to(async || finish::method_not_allowed("GET, HEAD")))
}

/// Requests that no route takes: the page's files.
async fn other(shared: web::Data<Shared>, request: HttpRequest) -> HttpResponse {
    if request.path().starts_with("/api/") {
        let text = format!("there is no {}", request.path());
        return http_error(StatusCode::NOT_FOUND, "not_found", &text);
    }
    match *request.method() {
        Method::GET => assets::serve(shared, request).await,
        _ => finish::method_not_allowed("GET, HEAD"),
    }
}

async fn connect(
    request: HttpRequest,
    payload: web::Payload,
    server: web::Data<ServerContext>,
) -> Result<HttpResponse, actix_web::Error> {
    session::connect(request, payload, server.get_ref().clone()).await
}

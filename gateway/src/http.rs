//! The HTTP routes: health, metrics, tables for scripts, the page, and the WebSocket handshake.
//!
//! Invariant: engine work runs on worker threads, not in handlers. Errors are JSON `{"error": …}` and name their cause.

pub mod activity;
pub mod assets;
mod body;
mod download;
mod health;
mod metrics;
pub mod site_check;
mod tables;
mod upload;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, guard, middleware};

use crate::command_router::CommandRouter;
use crate::metrics::Metrics;
use crate::session::{self, ServerContext};
use crate::sites::SiteGuard;

pub use upload::MaxUpload;

/// The state that the handlers share.
#[derive(Debug, Clone)]
pub struct Shared {
    pub router: CommandRouter,
    pub metrics: Metrics,
    /// The directory of the page.
    pub assets: Option<PathBuf>,
    pub readiness: Readiness,
}

/// Whether the server accepts new work: false until all tables are loaded, and again while it drains.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Changes the state.
    pub fn set(&self, is_ready: bool) {
        self.0.store(is_ready, Ordering::Release);
    }

    /// Whether the server is ready.
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
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
        .service(web::resource("/{path:.*}").guard(is_websocket).route(web::get().to(connect)))
        .route("/health/live", web::get().to(health::live))
        .route("/health/ready", web::get().to(health::ready))
        .route("/metrics", web::get().to(metrics::scrape))
        .route("/api/v1/tables", web::get().to(tables::list))
        .service(
            web::resource("/api/v1/tables/{table}")
                .wrap(middleware::Compress::default())
                .route(web::get().to(download::download))
                .route(web::put().to(upload::put))
                .route(web::post().to(upload::post))
                .route(web::delete().to(tables::delete)),
        )
        .default_service(web::get().to(assets::serve));
}

async fn connect(
    request: HttpRequest,
    payload: web::Payload,
    server: web::Data<ServerContext>,
) -> Result<HttpResponse, actix_web::Error> {
    session::connect(&request, payload, server.get_ref().clone())
}

//! What HTTP serves.

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, guard};

use crate::session;
use crate::session::Surroundings;

/// Registers every route.
pub fn routes(config: &mut ServiceConfig, surroundings: &Surroundings) {
    config.app_data(web::Data::new(surroundings.clone()));
    let is_websocket = guard::fn_guard(|request| request.head().uri.path().ends_with("/websocket"));
    config.service(web::resource("/{path:.*}").guard(is_websocket).route(web::get().to(connect)));
}

async fn connect(
    request: HttpRequest,
    payload: web::Payload,
    surroundings: web::Data<Surroundings>,
) -> Result<HttpResponse, actix_web::Error> {
    session::connect(&request, payload, surroundings.get_ref().clone())
}

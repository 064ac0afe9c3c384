//! Serves the files of the page that are inside the binary.
//!
//! Invariant: a file is sent as it is stored to clients that accept brotli. Others are sent a form that is made on a
//! worker thread when it is first requested: gzip, kept for the next one, or the content itself.
//!
//! Cost: browsers accept brotli from loopback addresses and over TLS alone, so on a plain address each file is
//! recompressed once.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETag, EntityTag, VARY};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::assets::{content_type, is_accepted};
use super::entity_tag;
use crate::page::PageFile;
use crate::wire_errors::http_error;

/// Files of the page that were recompressed, by path.
#[derive(Debug, Clone, Default)]
pub struct Recompressed(Arc<Mutex<HashMap<&'static str, Bytes>>>);

/// The form in which a file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Stored,
    Gzip,
    Plain,
}

pub(super) async fn serve(
    file: &'static PageFile,
    recompressed: &Recompressed,
    request: &HttpRequest,
) -> HttpResponse {
    let form = match file.is_compressed {
        true if is_accepted(request, "br") => Form::Stored,
        true if is_accepted(request, "gzip") => Form::Gzip,
        true => Form::Plain,
        false => Form::Stored,
    };
    let coding = match form {
        Form::Stored if file.is_compressed => Some("br"),
        Form::Gzip => Some("gzip"),
        Form::Stored | Form::Plain => None,
    };
    let tag = ETag(EntityTag::new_strong(format!("{}-{}", file.tag, coding.unwrap_or("plain"))));
    let mut response = HttpResponse::Ok();
    if entity_tag::is_known(request, &tag) {
        response.status(StatusCode::NOT_MODIFIED);
    }
    // The browser revalidates each file; its entity tag avoids sending it again.
    response.insert_header(tag.clone());
    response.insert_header((VARY, "accept-encoding")).insert_header((CACHE_CONTROL, "no-cache"));
    if entity_tag::is_known(request, &tag) {
        return response.finish();
    }
    response.insert_header((CONTENT_TYPE, content_type(file.path.as_ref())));
    if let Some(coding) = coding {
        response.insert_header((CONTENT_ENCODING, coding));
    }
    let body = match form {
        Form::Stored => Ok(Bytes::from_static(file.stored)),
        Form::Gzip => {
            let recompressed = recompressed.clone();
            blocking(move || recompressed.gzip(file)).await
        }
        Form::Plain => blocking(move || file.content().map(Bytes::from)).await,
    };
    match body {
        Ok(body) => response.body(body),
        Err(error) => http_error(StatusCode::INTERNAL_SERVER_ERROR, "internal", &error.to_string()),
    }
}

async fn blocking(make: impl FnOnce() -> io::Result<Bytes> + Send + 'static) -> io::Result<Bytes> {
    web::block(make).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

impl Recompressed {
    fn gzip(&self, file: &'static PageFile) -> io::Result<Bytes> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(file.path).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&file.content()?)?;
        let made = Bytes::from(encoder.finish()?);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(file.path, made.clone());
        Ok(made)
    }
}

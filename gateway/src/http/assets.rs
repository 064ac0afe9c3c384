//! Serves the page and its assets, from a folder or from the binary.
//!
//! Invariant: only files of the page are served. From a folder, a compressed sibling (`.br`, `.gz`) is sent in a file's
//! place if the browser accepts it; nothing is compressed at run time.

use std::path::{Component, Path, PathBuf};

use actix_files::NamedFile;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_TYPE, ContentEncoding, ETAG, HeaderValue,
    TryIntoHeaderValue as _, VARY,
};
use actix_web::{HttpRequest, HttpResponse, web};

use super::{Shared, embedded, entity_tag};
use crate::page::PageSource;
use crate::wire_errors::http_error;

/// Encodings and their file extensions, in order of preference.
const ENCODINGS: [(&str, &str, ContentEncoding); 2] =
    [("br", "br", ContentEncoding::Brotli), ("gzip", "gz", ContentEncoding::Gzip)];

const NO_PAGE: &str = "this binary was built without its page, and no folder was given that has it: \
     `cargo package-binary` builds one that contains it, \
     and a folder for `proscenium serve --assets target/page`";

pub(super) async fn serve(shared: web::Data<Shared>, request: HttpRequest) -> HttpResponse {
    let missing = || {
        let text = format!("there is no {}", request.path());
        http_error(StatusCode::NOT_FOUND, "not_found", &text)
    };
    let Some(path) = relative(request.path()) else { return missing() };
    let root = match &shared.page {
        PageSource::Absent => return http_error(StatusCode::NOT_FOUND, "not_found", NO_PAGE),
        PageSource::Folder(root) => root,
        PageSource::Embedded(files) => {
            return match files.iter().find(|file| Path::new(file.path) == path) {
                Some(file) => embedded::serve(file, &shared.recompressed, &request).await,
                None => missing(),
            };
        }
    };
    let path = root.join(path);
    let content_type = content_type(&path);
    for (name, ending, encoding) in ENCODINGS {
        if !is_accepted(&request, name) {
            continue;
        }
        let mut sibling = path.clone().into_os_string();
        sibling.push(".");
        sibling.push(ending);
        if let Ok(file) = NamedFile::open_async(PathBuf::from(sibling)).await {
            return finish(&shared, file.set_content_encoding(encoding), content_type, &request).await;
        }
    }
    match NamedFile::open_async(&path).await {
        Ok(file) => finish(&shared, file, content_type, &request).await,
        Err(_) => missing(),
    }
}

async fn finish(
    shared: &Shared,
    file: NamedFile,
    content_type: &'static str,
    request: &HttpRequest,
) -> HttpResponse {
    let (tags, path) = (shared.file_tags.clone(), file.path().to_owned());
    let tag = web::block(move || tags.tag(&path)).await.ok().and_then(Result::ok);
    if let Some(tag) = &tag
        && entity_tag::is_known(request, tag)
    {
        return HttpResponse::NotModified()
            .insert_header(tag.clone())
            .insert_header((VARY, "accept-encoding"))
            .insert_header((CACHE_CONTROL, "no-cache"))
            .finish();
    }
    // Otherwise a compressed sibling, whose extension is unknown, would be sent as a download.
    let mut response = file.disable_content_disposition().use_etag(false).into_response(request);
    let headers = response.headers_mut();
    if let Some(tag) = tag.and_then(|tag| tag.try_into_value().ok()) {
        headers.insert(ETAG, tag);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    // The browser revalidates each file; its entity tag avoids sending it again.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Whether the client accepts a content coding: it lists it, and not with a weight of zero.
pub(super) fn is_accepted(request: &HttpRequest, coding: &str) -> bool {
    let accepted = request.headers().get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("");
    accepted.split(',').any(|offer| {
        let mut parts = offer.split(';').map(str::trim);
        let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(coding));
        let weight = parts.next().and_then(|part| part.strip_prefix("q=")?.trim().parse::<f32>().ok());
        is_named && weight != Some(0.0)
    })
}

/// The file that a request's path names, from the page's folder, if it is inside of it.
fn relative(path: &str) -> Option<PathBuf> {
    let relative = Path::new(path.trim_start_matches('/'));
    if relative.components().any(|part| !matches!(part, Component::Normal(_))) {
        return None;
    }
    let is_folder = path.ends_with('/') || path.is_empty();
    Some(if is_folder { relative.join("index.html") } else { relative.to_owned() })
}

/// The type that a file's ending names.
pub(super) fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|ending| ending.to_str()).unwrap_or("") {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" | "map" => "application/json",
        "wasm" => "application/wasm",
        "woff2" => "font/woff2",
        "arrow" => "application/vnd.apache.arrow.file",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_inside_the_directory_are_served() {
        assert_eq!(relative("/"), Some("index.html".into()));
        assert_eq!(relative("/js/worker.js"), Some("js/worker.js".into()));
        for path in ["/../secret", "/js/../../secret", "//etc/../../x"] {
            assert_eq!(relative(path), None, "{path}");
        }
    }
}

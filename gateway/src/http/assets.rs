//! Serves the page and its assets.
//!
//! Invariant: only files below the assets directory are served. If the browser accepts it, a compressed sibling (`.br`,
//! `.gz`) is sent in a file's place; nothing is compressed at run time.

use std::path::{Component, Path, PathBuf};

use actix_files::NamedFile;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_TYPE, ContentEncoding, ETAG, HeaderValue,
    TryIntoHeaderValue as _, VARY,
};
use actix_web::{HttpRequest, HttpResponse, web};

use super::{Shared, entity_tag};
use crate::wire_errors::http_error;

/// Encodings and their file extensions, in order of preference.
const ENCODINGS: [(&str, &str, ContentEncoding); 2] =
    [("br", "br", ContentEncoding::Brotli), ("gzip", "gz", ContentEncoding::Gzip)];

const NO_PAGE: &str = "the server is running without its page: start it with --assets FOLDER";

pub(super) async fn serve(shared: web::Data<Shared>, request: HttpRequest) -> HttpResponse {
    let Some(root) = &shared.assets else {
        return http_error(StatusCode::NOT_FOUND, "not_found", NO_PAGE);
    };
    let missing = || {
        let text = format!("there is no {}", request.path());
        http_error(StatusCode::NOT_FOUND, "not_found", &text)
    };
    let Some(path) = within(root, request.path()) else { return missing() };
    let accepted = request
        .headers()
        .get(ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("")
        .to_ascii_lowercase();
    let content_type = mime_of(&path);
    for (name, ending, encoding) in ENCODINGS {
        if !accepted.split(',').any(|offer| offer.split(';').next().unwrap_or("").trim() == name) {
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

/// The file at a request's path, if it is inside `root`.
fn within(root: &Path, path: &str) -> Option<PathBuf> {
    let relative = Path::new(path.trim_start_matches('/'));
    if relative.components().any(|part| !matches!(part, Component::Normal(_))) {
        return None;
    }
    let file = root.join(relative);
    Some(if path.ends_with('/') || path.is_empty() { file.join("index.html") } else { file })
}

fn mime_of(path: &Path) -> &'static str {
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

/// Finds the page's default directory: `assets` beside the binary, or the one in the build tree.
pub fn find() -> Option<PathBuf> {
    let binary = std::env::current_exe().ok()?;
    let folder = binary.parent()?;
    // In a build tree the binary is in target/release or target/debug, and the page in target/page.
    let candidates =
        [folder.join("assets"), folder.parent().map(|target| target.join("page")).unwrap_or_default()];
    candidates.into_iter().find(|folder| folder.join("index.html").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_inside_the_directory_are_served() {
        let root = Path::new("/srv/page");
        assert_eq!(within(root, "/"), Some(root.join("index.html")));
        assert_eq!(within(root, "/js/worker.js"), Some(root.join("js/worker.js")));
        for path in ["/../secret", "/js/../../secret", "//etc/../../x"] {
            assert_eq!(within(root, path), None, "{path}");
        }
    }
}

//! The web page, embedded in the binary: a table of files that the build makes of `assets/`.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

/// A file of the page.
struct Asset {
    /// Its path below `assets/`.
    name: &'static str,
    /// Its entity tag.
    tag: &'static str,
    content: &'static [u8],
}

static ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// What is shown where this build has no page.
const NO_PAGE: &str = "<!doctype html><meta charset=utf-8><title>Sunfire</title><h1>Sunfire</h1><p>This build has no \
    web page. The API is below <a href=/api/v1/monitors>/api/v1</a>, see <a href=/openapi.json>openapi.json</a>.";

/// Only what comes from here may be loaded or run, and nobody may frame the page.
pub(super) const CONTENT_SECURITY_POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("txt" | "md") | None => "text/plain; charset=utf-8",
        Some(_) => "application/octet-stream",
    }
}

/// `/`
pub(super) async fn index(request: HttpRequest) -> HttpResponse {
    match find("index.html") {
        Some(asset) => serve(&request, asset),
        None => HttpResponse::Ok()
            .content_type("text/html; charset=utf-8")
            .body(NO_PAGE),
    }
}

/// `/assets/…`
pub(super) async fn asset(request: HttpRequest, path: web::Path<String>) -> HttpResponse {
    match find(&path) {
        Some(asset) => serve(&request, asset),
        None => super::app::not_found(request).await,
    }
}

/// `/favicon.ico`, for browsers that ask by themselves.
pub(super) async fn icon(request: HttpRequest) -> HttpResponse {
    match find("favicon.ico").or_else(|| find("favicon.svg")) {
        Some(asset) => serve(&request, asset),
        None => HttpResponse::NoContent().finish(),
    }
}

fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

/// The file, or that the browser's copy is still right.
fn serve(request: &HttpRequest, asset: &'static Asset) -> HttpResponse {
    let known = request
        .headers()
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    // A proxy that compresses makes the tag a weak one.
    let is_known = known.is_some_and(|tags| {
        tags.split(',')
            .any(|tag| tag.trim().trim_start_matches("W/") == asset.tag)
    });
    let mut response = if is_known {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    // Asked again each time, so that a new version of the program is never mixed with an old page.
    response
        .insert_header((header::ETAG, asset.tag))
        .insert_header((header::CACHE_CONTROL, "no-cache"));
    match is_known {
        true => response.finish(),
        false => response.content_type(content_type(asset.name)).body(asset.content),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_file_has_a_type_and_a_tag() {
        for asset in ASSETS {
            let hidden = asset.name.split('/').any(|part| part.starts_with('.'));
            assert!(
                !hidden && asset.tag.len() == 18 && !asset.content.is_empty(),
                "{}",
                asset.name
            );
        }
        assert_eq!(content_type("vendor/uplot.mjs"), "text/javascript; charset=utf-8");
        assert_eq!(content_type("LICENSE"), "text/plain; charset=utf-8");
        assert_eq!(content_type("x.bin"), "application/octet-stream");
    }
}

//! What is answered to a request for the status: the document, the page, or why there is neither.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
        REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};

use super::{
    Facts,
    access::{Access, Denied},
    mesh::Mesh,
    page::{self, View},
    rates::Rates,
};

/// Where the document is.
pub(crate) const STATUS_PATH: &str = "/status";
/// Where the page is.
const PAGE_PATH: &str = "/";

/// What pages that only have a text may do.
const NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// On every answer: it is for whoever asked, is what it says that it is, and stands in no page of somebody else.
const GUARDS: [(HeaderName, HeaderValue); 5] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

type Answer = Response<Full<Bytes>>;

/// What a node answers from.
#[derive(Debug)]
pub(super) struct Answers {
    facts: Arc<Facts>,
    access: Access,
    mesh: Mesh,
    rates: Rates,
    policy: HeaderValue,
}

impl Answers {
    pub(super) fn new(facts: Arc<Facts>, access: Access) -> Self {
        Self {
            mesh: Mesh::new(facts.clone()),
            rates: Rates::default(),
            // It has no character that a header can't carry; without one the page would do nothing.
            policy: HeaderValue::try_from(page::policy()).unwrap_or(NOTHING),
            facts,
            access,
        }
    }

    /// Measures what the page shows curves of, and forgets what nobody looks at, for as long as it is polled.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(super) async fn measure(&self) -> Infallible {
        tokio::select! {
            never = self.rates.keep(self.facts.manager()) => never,
            never = self.mesh.forget() => never,
        }
    }

    /// The answer to a request.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(super) async fn answer<B>(&self, request: &Request<B>) -> Answer {
        if let Err(answer) = self.admit(request.headers()) {
            return *answer;
        }
        let path = request.uri().path();
        if !matches!(path, STATUS_PATH | PAGE_PATH) {
            return text(
                StatusCode::NOT_FOUND,
                "there is nothing here; the status is at /status, and the page at /\n",
            );
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let methods = (ALLOW, HeaderValue::from_static("GET, HEAD"));
            return with(
                text(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "the status can only be read, by GET or HEAD\n",
                ),
                methods,
            );
        }
        if path == PAGE_PATH {
            self.page().await
        } else {
            self.document()
        }
    }

    fn admit(&self, headers: &HeaderMap) -> Result<(), Box<Answer>> {
        let Err(denied) = self.access.check(headers) else {
            return Ok(());
        };
        Err(Box::new(match denied {
            // By the second of these a browser asks for a name and a password.
            Denied::Token => with(
                with(
                    text(
                        StatusCode::UNAUTHORIZED,
                        "the status wants the token of --status-token-file: as a bearer, or as a password\n",
                    ),
                    (
                        WWW_AUTHENTICATE,
                        HeaderValue::from_static("Bearer realm=\"grid status\""),
                    ),
                ),
                (
                    WWW_AUTHENTICATE,
                    HeaderValue::from_static("Basic realm=\"grid status\", charset=\"UTF-8\""),
                ),
            ),
            Denied::Host => text(
                StatusCode::FORBIDDEN,
                "without --status-token-file the status is for this machine: ask for it by an IP address, as localhost, \
                 or as --status names it\n",
            ),
            Denied::Site => text(
                StatusCode::FORBIDDEN,
                "a page of another site may lead here, and not ask for the status itself\n",
            ),
        }))
    }

    async fn page(&self) -> Answer {
        let rows = self.mesh.rows().await;
        let (status, curves) = (self.facts.status(), self.rates.curves());
        // Links share the threads on which this is asked.
        let rendered = tokio::task::spawn_blocking(move || {
            page::render(&View {
                status: &status,
                rows: &rows,
                curves: &curves,
            })
        });
        let html = match rendered.await {
            Ok(html) => html,
            Err(error) => {
                tracing::warn!("the page can't be made: {error}");
                return text(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the page can't be made; the log says why\n",
                );
            }
        };
        let mut answer = response(StatusCode::OK, "text/html; charset=utf-8", html.into());
        let headers = answer.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        answer
    }

    fn document(&self) -> Answer {
        match serde_json::to_vec(&self.facts.status()) {
            Ok(mut json) => {
                json.push(b'\n');
                response(StatusCode::OK, "application/json", json.into())
            }
            Err(error) => {
                tracing::warn!("the status can't be told: {error}");
                text(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the status can't be told; the log says why\n",
                )
            }
        }
    }
}

fn with(mut answer: Answer, (name, value): (HeaderName, HeaderValue)) -> Answer {
    answer.headers_mut().append(name, value);
    answer
}

fn text(code: StatusCode, text: &'static str) -> Answer {
    response(
        code,
        "text/plain; charset=utf-8",
        Bytes::from_static(text.as_bytes()),
    )
}

fn response(code: StatusCode, kind: &'static str, body: Bytes) -> Answer {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONTENT_SECURITY_POLICY, NOTHING);
    headers.extend(GUARDS);
    response
}

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
    brief::brief,
    making::Making,
    mesh::Mesh,
    page::{self, View},
    rates::Rates,
    seen::MeshStatus,
};
use crate::unruly::tame;

/// Where the document is.
pub(crate) const STATUS_PATH: &str = "/status";
/// Where the page is.
const PAGE_PATH: &str = "/";

/// What is repeated of a query, in bytes.
const MOST_QUERY: usize = 256;

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
    making: Making,
    policy: HeaderValue,
}

impl Answers {
    pub(super) fn new(facts: Arc<Facts>, access: Access) -> Self {
        Self {
            mesh: Mesh::new(facts.clone()),
            rates: Rates::default(),
            making: Making::new(),
            // It has no character that a header can't carry; without one the page would do nothing.
            policy: HeaderValue::try_from(page::policy()).unwrap_or(NOTHING),
            facts,
            access,
        }
    }

    /// Measures what the page shows curves of, and asks the others for what somebody wants to see of them, for as long as
    /// it is polled.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(super) async fn measure(&self) -> Infallible {
        tokio::select! {
            never = self.rates.keep(self.facts.manager()) => never,
            never = self.mesh.keep() => never,
        }
    }

    /// Returns once nothing is made any more for clients, who have gone.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(super) async fn ended(&self) {
        self.making.ended().await;
    }

    /// The answer to a request that is [admitted](Self::admit).
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(super) async fn answer<B>(&self, request: &Request<B>) -> Answer {
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
        let query = request.uri().query().unwrap_or_default();
        if path == PAGE_PATH && query.is_empty() {
            return self.page().await;
        }
        match (path, query) {
            (STATUS_PATH, "" | "mesh=false") => self.document(false).await,
            (STATUS_PATH, "mesh=true") => self.document(true).await,
            _ => bad_query(path, query),
        }
    }

    /// Whether whoever asks with this head is answered; else the refusal.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<(), Box<Answer>> {
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
        let html = self.making.made(move || {
            page::render(&View {
                mesh: &MeshStatus::of(&status, &rows),
                status: &status,
                curves: &curves,
            })
        });
        let html = match html.await {
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

    /// With who sees whom only where it is asked for: it costs questions to all peers.
    async fn document(&self, with_mesh: bool) -> Answer {
        let rows = match with_mesh {
            true => Some(self.mesh.rows().await),
            false => None,
        };
        let mut status = self.facts.status();
        let json = self.making.made(move || {
            status.mesh = rows.map(|rows| MeshStatus::of(&status, &rows));
            serde_json::to_string(&status).map(|json| tame(&json))
        });
        let told = match json.await {
            Ok(json) => json.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match told {
            Ok(mut json) => {
                json.push('\n');
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

fn bad_query(path: &str, query: &str) -> Answer {
    let query = brief(query, MOST_QUERY);
    let takes = match path {
        STATUS_PATH => "the status takes ?mesh=true or ?mesh=false",
        _ => "the page takes none",
    };
    text(
        StatusCode::BAD_REQUEST,
        format!("'?{query}' is no query that is known here: {takes}\n"),
    )
}

fn with(mut answer: Answer, (name, value): (HeaderName, HeaderValue)) -> Answer {
    answer.headers_mut().append(name, value);
    answer
}

fn text(code: StatusCode, text: impl Into<Bytes>) -> Answer {
    response(code, "text/plain; charset=utf-8", text.into())
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

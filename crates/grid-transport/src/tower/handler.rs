//! A service as a handler.

use std::{error::Error, future::poll_fn};

use grid_proto::{HandlerId, Payload};
use tower_service::Service;

use crate::{error::HandlerError, handler::Request, registration::SingleHandler};

/// A handler that gives each request to a clone of `service`, once that is ready; what it answers goes to the caller, and
/// the text of its error.
///
/// A handler has no way to say that it is not ready: while its service is not, requests wait in it, and count as requests
/// in progress ([`Settings::max_requests`](crate::Settings#structfield.max_requests)), until their caller has gone or their
/// deadline has passed. Who would rather refuse registers it with a [`limit`](SingleHandler::limit): the caller is told
/// then that nothing was executed. What a load-shedding layer in the service sheds is an error of the handler to its
/// caller, like any other.
///
/// # Cancel safety
///
/// As of every [`SingleHandler`]: the future of the service runs to its end, also where its caller has gone, unless the
/// handler is registered with [`abort_on_cancel`](SingleHandler::abort_on_cancel).
pub fn single<S>(id: HandlerId, service: S) -> SingleHandler
where
    S: Service<Request> + Clone + Send + Sync + 'static,
    S::Response: Into<Payload>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send,
{
    let failed = |error: S::Error| HandlerError::new(error.into().to_string());
    SingleHandler::new(id, move |request| {
        let mut service = service.clone();
        async move {
            let ready = poll_fn(|cx| service.poll_ready(cx));
            let token = request.context().token();
            tokio::select! {
                biased;
                ready = ready => ready.map_err(failed)?,
                // Nothing has begun.
                () = token.cancelled() => return Err(HandlerError::new("nobody waits any more")),
            }
            let answer = service.call(request).await.map_err(failed)?;
            Ok(answer.into())
        }
    })
}

//! Typed handlers on the transport's builder.

use std::future::Future;

use grid_transport::{Builder, Context, HandlerError};

use crate::{Message, Service, Single, Streaming, TypedStreamCall};

mod sealed {
    pub trait Sealed {}
    impl Sealed for grid_transport::Builder {}
}

/// Registers typed handlers while a node is built.
///
/// These are the short forms, for handlers without options. Those with options are made by
/// [`Single::handler`] and [`Streaming::handler`] and registered like any other:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), grid_transport::BuildError> {
/// use grid_transport::{Manager, NoAuth};
/// use grid_typed::{HandlerId, ManagerBuilderExt as _, NoPayload, Single};
///
/// static FORGET: Single<String, NoPayload> = Single::new(HandlerId::new(203));
///
/// let forget = |_name, _context| async { Ok(NoPayload) };
/// let manager = Manager::builder("http://127.0.0.1:9001")
///     .peers(["http://127.0.0.1:9001", "http://127.0.0.1:9002"])
///     .auth(NoAuth)
///     .typed(&FORGET, forget)
///     .register(FORGET.handler(forget).subroute("disk1").abort_on_cancel().limit(64))
///     .build()?;
/// # Ok(()) }
/// ```
pub trait ManagerBuilderExt: sealed::Sealed + Sized {
    /// Registers a handler of typed single requests.
    ///
    /// **A single request is an action: once begun, its handler runs to its end**, also when its
    /// caller has gone, its deadline has passed or the connection was lost; its token tells it.
    /// [`Single::handler`] says what `handler` may return, and gives options.
    #[must_use]
    fn typed<Req, Resp, H, Fut>(self, definition: &Single<Req, Resp>, handler: H) -> Self
    where
        Req: Message + 'static,
        Resp: Message + 'static,
        H: Fn(Req, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Resp, HandlerError>> + Send + 'static;

    /// Registers a handler of typed streams.
    ///
    /// **A stream is a conversation: its handler's future is dropped at its await point** when its
    /// caller goes, its deadline passes or the connection ends. [`Streaming::handler`] gives
    /// options, such as to let it run to its end.
    #[must_use]
    fn typed_stream<Init, In, Out, H, Fut>(
        self,
        definition: &Streaming<Init, In, Out>,
        handler: H,
    ) -> Self
    where
        Init: Message + 'static,
        In: 'static,
        Out: 'static,
        H: Fn(Init, TypedStreamCall<In, Out>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static;

    /// Registers all handlers of a service.
    #[must_use]
    fn service(self, service: impl Service) -> Self;
}

impl ManagerBuilderExt for Builder {
    fn typed<Req, Resp, H, Fut>(self, definition: &Single<Req, Resp>, handler: H) -> Self
    where
        Req: Message + 'static,
        Resp: Message + 'static,
        H: Fn(Req, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Resp, HandlerError>> + Send + 'static,
    {
        self.register(definition.handler(handler))
    }

    fn typed_stream<Init, In, Out, H, Fut>(
        self,
        definition: &Streaming<Init, In, Out>,
        handler: H,
    ) -> Self
    where
        Init: Message + 'static,
        In: 'static,
        Out: 'static,
        H: Fn(Init, TypedStreamCall<In, Out>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.register(definition.handler(handler))
    }

    fn service(self, service: impl Service) -> Self {
        let handlers = service.handlers().into_iter();
        handlers.fold(self, Self::register)
    }
}

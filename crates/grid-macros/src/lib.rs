//! The attribute [`macro@service`]: a service of a grid in one trait.
//!
//! Part of `grid-typed`, which shows it with its feature `macros`; there is no reason to depend on this crate itself.

mod expand;
mod method;
mod options;
mod service;

use proc_macro::TokenStream;

use self::service::Service;

/// Turns a trait into a service: what its nodes implement, and typed handlers and calls over fixed ids.
///
/// Each method is a handler:
///
/// ```ignore
/// use std::convert::Infallible;
///
/// use grid_typed::{Context, HandlerError, TypedStreamCall};
///
/// /// Locks of one node.
/// #[grid_typed::service]
/// pub trait Locks {
///     /// Whether it was free, and is the caller's now.
///     #[handler(id = 200, urgent, limit = 1_000)]
///     async fn lock(&self, name: String, context: Context) -> Result<bool, HandlerError>;
///
///     /// The names of all that are held.
///     #[handler(id = 201, input = 0, output = 16)]
///     async fn held(&self, prefix: String, call: TypedStreamCall<Infallible, String>) -> Result<(), HandlerError>;
/// }
/// ```
///
/// A method with `input` or `output`, the capacities of both directions, is a stream, and others are single requests. The
/// types are those of messages: what serde can write and read. The other options are those of
/// `grid_transport::SingleHandler` (`abort_on_cancel`, `blocking`, `limit = N`, `urgent`) and
/// `grid_transport::StreamHandler` (`blocking`, `detached`, `limit = N`, `urgent`).
///
/// For `Locks` it writes, with the visibility of the trait:
///
/// - the trait itself, whose methods give futures that are [`Send`]; it is implemented with `async fn`;
/// - `LocksServer`, a `grid_typed::Service` around whatever implements it, for `ManagerBuilderExt::service`;
/// - `LocksClient`, which makes the calls over a connection, and has the definitions as constants (`LocksClient::LOCK`);
/// - `LocksClient::describe()`, the ids and shapes of all of it, for `grid_typed::golden`.
///
/// What is wrong in a trait, such as an id that two methods have, is an error of the compiler at its place.
#[proc_macro_attribute]
pub fn service(arguments: TokenStream, item: TokenStream) -> TokenStream {
    match Service::read(arguments.into(), item.into()) {
        Ok(service) => service.expand(),
        Err(error) => error.into_compile_error(),
    }
    .into()
}

#![allow(unused_imports)]

use std::convert::Infallible;

use grid_typed::{Context, HandlerError, TypedStreamCall};

#[grid_typed::service]
trait Options {
    #[handler(id = 1, fast)]
    async fn unknown(&self, name: String, context: Context) -> Result<u8, HandlerError>;

    #[handler(id = 2, detached)]
    async fn of_streams(&self, name: String, context: Context) -> Result<u8, HandlerError>;

    #[handler(id = 3, output = 4, abort_on_cancel)]
    async fn of_requests(
        &self,
        name: String,
        call: TypedStreamCall<Infallible, u8>,
    ) -> Result<(), HandlerError>;
}

#[grid_typed::service(fast)]
trait Arguments {}

#[grid_typed::service]
trait Generic<T> {}

#[grid_typed::service]
trait Above: Clone {}

#[grid_typed::service]
struct NoTrait;

fn main() {}

#![allow(unused_imports)]
#![allow(non_snake_case)]

use std::convert::Infallible;

use grid_typed::{Context, HandlerError, TypedStreamCall};

#[grid_typed::service]
trait Names {
    #[handler(id = 1)]
    async fn new(&self, name: String, context: Context) -> Result<u8, HandlerError>;

    #[handler(id = 2)]
    async fn lock(&self, name: String, context: Context) -> Result<u8, HandlerError>;

    #[handler(id = 3)]
    async fn LOCK(&self, name: String, context: Context) -> Result<u8, HandlerError>;

    #[cfg(unix)]
    #[handler(id = 4)]
    async fn some(&self, name: String, context: Context) -> Result<u8, HandlerError>;

    #[handler(id = 5)]
    async fn bound(&self, name: String, context: Context) -> Result<u8, HandlerError>
    where
        Self: Sized;

    #[handler(id = 6)]
    async unsafe fn risky(&self, name: String, context: Context) -> Result<u8, HandlerError>;

    #[handler(id = 7, limit = 0)]
    async fn never(&self, name: String, context: Context) -> Result<u8, HandlerError>;

    #[handler(id = 8, input = 0, output = 0)]
    async fn nothing(
        &self,
        name: String,
        call: TypedStreamCall<Infallible, Infallible>,
    ) -> Result<(), HandlerError>;
}

#[grid_typed::service]
trait Bound
where
    Self: Clone,
{
}

#[grid_typed::service]
unsafe trait Risky {}

fn main() {}

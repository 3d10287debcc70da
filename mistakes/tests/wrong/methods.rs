#![allow(unused_imports)]

use std::convert::Infallible;

use grid_typed::{Context, HandlerError, TypedStreamCall};

#[grid_typed::service]
trait Methods {
    #[handler(id = 1)]
    fn blocks(&self, name: String, context: Context) -> Result<u8, HandlerError>;

    #[handler(id = 2)]
    async fn owns(self, name: String, context: Context) -> Result<u8, HandlerError>;

    #[handler(id = 3)]
    async fn few(&self, name: String) -> Result<u8, HandlerError>;

    #[handler(id = 4)]
    async fn bare(&self, name: String, context: Context) -> u8;

    #[handler(id = 5)]
    async fn borrows(&self, name: &str, context: Context) -> Result<u8, HandlerError>;

    #[handler(id = 6)]
    async fn generic<T>(&self, name: T, context: Context) -> Result<u8, HandlerError>;

    #[handler(id = 7)]
    async fn body(&self, name: String, context: Context) -> Result<u8, HandlerError> {
        Ok(1)
    }

    #[handler(id = 8, output = 4)]
    async fn no_stream(&self, name: String, context: Context) -> Result<(), HandlerError>;

    #[handler(id = 9, output = 4)]
    async fn answers(
        &self,
        name: String,
        call: TypedStreamCall<Infallible, u8>,
    ) -> Result<u8, HandlerError>;

    const LIMIT: usize;
}

fn main() {}

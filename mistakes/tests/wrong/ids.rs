#![allow(unused_imports)]

use grid_typed::{Context, HandlerError};

#[grid_typed::service]
trait Clash {
    #[handler(id = 200)]
    async fn one(&self, name: String, context: Context) -> Result<u8, HandlerError>;

    #[handler(id = 201)]
    async fn two(&self, name: String, context: Context) -> Result<u8, HandlerError>;

    #[handler(id = 200)]
    async fn three(&self, name: String, context: Context) -> Result<u8, HandlerError>;
}

#[grid_typed::service]
trait Ranges {
    #[handler(id = 0)]
    async fn zero(&self, name: String, context: Context) -> Result<u8, HandlerError>;

    #[handler(id = 256)]
    async fn large(&self, name: String, context: Context) -> Result<u8, HandlerError>;

    #[handler(limit = 5)]
    async fn none(&self, name: String, context: Context) -> Result<u8, HandlerError>;

    async fn bare(&self, name: String, context: Context) -> Result<u8, HandlerError>;

    #[handler(id = 5, id = 6)]
    async fn twice(&self, name: String, context: Context) -> Result<u8, HandlerError>;
}

fn main() {}

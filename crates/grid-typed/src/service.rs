//! Several handlers that belong together.

use grid_transport::Registration;

/// Handlers that belong together, as what `#[grid_typed::service]` writes for a trait; registered by
/// [`ManagerBuilderExt::service`](crate::ManagerBuilderExt::service).
pub trait Service {
    /// All of them, to be registered.
    fn handlers(self) -> Vec<Registration>;
}

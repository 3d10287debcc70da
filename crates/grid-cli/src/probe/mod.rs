//! The probe handlers: one set by which every test of interoperability, and every recorded
//! conversation, speaks to a node.

pub mod single;
pub mod stream;
mod text;
pub mod typed;
mod usage;

use grid_transport::Registration;

pub(crate) use self::usage::Usage;

/// All probe handlers, to be registered; the echo stream 69 only `with_69`. 77 is never among
/// them.
#[must_use]
pub fn handlers(with_69: bool) -> Vec<Registration> {
    let mut all = single::handlers();
    all.extend(typed::handlers());
    all.extend(stream::handlers(with_69));
    all
}

//! Messages of any shape.

/// Any msgpack value, for messages whose shape isn't known before: a message like every other, and
/// a part of others.
///
/// Requires feature `value`. Strings that aren't UTF-8 are read as [`Value::Binary`], and a
/// positive integer is written in its shortest unsigned form whatever form it had.
///
/// ```
/// use grid_typed::Value;
///
/// let value: Value = grid_typed::decode(b"\x81\xa1n\x07").unwrap();
/// assert_eq!(value["n"].as_u64(), Some(7));
/// ```
pub use rmpv::Value;

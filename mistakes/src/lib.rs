//! Nothing but tests of what the compiler says of services that are written wrongly.
//!
//! They are no tests of `grid-macros`, as all that the tests of a macro's crate depend on is built once more for the compiler
//! to load, nor of `grid-typed`, as they are compiled in a place of their own, together with all that the tests of their
//! crate depend on.

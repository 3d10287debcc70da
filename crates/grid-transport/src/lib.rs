//! grid-transport

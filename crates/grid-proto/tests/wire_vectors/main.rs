//! The wire against recorded data: bytes that other nodes wrote, and what they made of bytes that they were sent.

mod entry;
mod malformed;
mod merged;
mod messages;
mod names;
mod payloads;
mod rejections;
mod transcripts;

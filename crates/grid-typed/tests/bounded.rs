//! A declared length costs nothing: what a payload makes us allocate is bounded by its own size.
//!
//! One test, alone in its process: it watches the allocator.

#![cfg(all(feature = "json", feature = "value"))]

use std::alloc::System;
use std::collections::{BTreeMap, HashMap};

use grid_typed::{
    Array, Bytes, DecodeError, Json, Message, StringMap, Timestamp, UrlValues, Value, msgpack,
};
use serde::Deserialize;
use serde::de::IgnoredAny;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// An element that takes much more room than its smallest encoding.
type Large = Option<[u64; 32]>;

#[derive(Debug, Deserialize)]
struct Tree(#[expect(dead_code, reason = "only its size matters")] Vec<Self>);

/// Ends in a length of 2³²−1 strings, elements, pairs or bytes.
fn hostile() -> Vec<Vec<u8>> {
    let heads: [&[u8]; 6] = [&[0xdb], &[0xc6], &[0xdd], &[0xdf], &[0xc9], &[0xdf]];
    let around: [&[u8]; 5] = [
        &[],
        &[0x91],
        &[0x92, 0xc0],
        &[0x81, 0xa1, b'a'],
        &[0x81, 0xa1, b'a', 0x91],
    ];
    let mut payloads = Vec::new();
    for head in heads {
        for around in around {
            for tail in [0, 1, 40] {
                payloads.push([around, head, &[0xff; 4], &vec![0xa0; tail]].concat());
            }
        }
    }
    payloads
}

fn allocated<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let region = Region::new(ALLOCATOR);
    let value = run();
    (value, region.change().bytes_allocated)
}

fn refused<M: Message>(payload: &[u8]) {
    let (read, bytes) = allocated(|| M::decode(&mut &*payload).map(drop));
    assert!(read.is_err(), "{payload:x?}");
    assert!(bytes < 2048, "{bytes} bytes for {payload:x?}");
}

#[test]
fn h03_lengths_that_a_payload_declares_allocate_nothing_unit() {
    for payload in hostile() {
        refused::<StringMap>(&payload);
        refused::<Bytes>(&payload);
        refused::<UrlValues>(&payload);
        refused::<Array<StringMap>>(&payload);
        refused::<Array<Bytes>>(&payload);
        refused::<Array<Large>>(&payload);
        refused::<Json<BTreeMap<String, String>>>(&payload);
        refused::<Timestamp>(&payload);
        refused::<Value>(&payload);
        refused::<Vec<()>>(&payload);
        refused::<HashMap<String, Vec<Large>>>(&payload);
        refused::<(Large, String)>(&payload);
        let (read, bytes) = allocated(|| msgpack::from_slice::<IgnoredAny>(&payload).is_err());
        assert!(read && bytes == 0, "{bytes} bytes for {payload:x?}");
    }

    // Lists that could just fit in the rest of the payload, each the first element of the one
    // around it, and at last no list.
    let mut nested = [0xdd, 0, 0, 0xf0, 0].repeat(msgpack::MAX_DEPTH);
    nested.resize(nested.len() + 0xf000, 0xc0);
    let (read, bytes) = allocated(|| msgpack::from_slice::<Tree>(&nested).map(drop));
    assert!(matches!(read, Err(DecodeError::Invalid { .. })), "{read:?}");
    assert!(
        bytes < 16 * nested.len(),
        "{bytes} bytes for {}",
        nested.len()
    );
}

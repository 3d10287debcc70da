//! How long the wire takes, by payload size.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use grid_proto::wire::{Flags, Frame, Message, Op, checksum, encode_merged, unfold};
use grid_proto::{HandlerId, MuxId};

const SIZES: [usize; 4] = [16, 512, 4 << 10, 64 << 10];
/// Messages in a merged one.
const MERGED: usize = 16;

fn request(payload: Bytes, flags: Flags) -> Message {
    Message {
        handler: HandlerId::new(9),
        deadline_ms: 60_000,
        flags: flags | Flags::EOF,
        payload,
        ..Message::new(Op::Request, MuxId::new(1_234_567))
    }
}

fn encoded(message: &Message) -> Bytes {
    let mut out = Vec::with_capacity(message.encoded_len());
    message.encode(&mut out);
    out.into()
}

fn by_size(
    c: &mut Criterion,
    name: &str,
    mut bench: impl FnMut(&mut criterion::Bencher<'_>, usize),
) {
    let mut group = c.benchmark_group(name);
    for size in SIZES {
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |b| bench(b, size));
    }
    group.finish();
}

fn payload(size: usize) -> Bytes {
    (0..size)
        .map(|at| (at * 31 % 251) as u8)
        .collect::<Vec<_>>()
        .into()
}

fn encode(c: &mut Criterion) {
    for (name, flags) in [("encode", Flags::CRC), ("encode_unchecked", Flags::empty())] {
        by_size(c, name, |b, size| {
            let message = request(payload(size), flags);
            let mut out = Vec::with_capacity(message.encoded_len());
            b.iter(|| {
                out.clear();
                black_box(&message).encode(&mut out);
                black_box(&out);
            });
        });
    }
}

fn decode(c: &mut Criterion) {
    for (name, flags) in [("decode", Flags::CRC), ("decode_unchecked", Flags::empty())] {
        by_size(c, name, |b, size| {
            let bytes = encoded(&request(payload(size), flags));
            b.iter(|| Frame::decode(black_box(&bytes)).map(|frame| frame.payload.len()));
        });
    }
    by_size(c, "decode_owned", |b, size| {
        let bytes = encoded(&request(payload(size), Flags::CRC));
        b.iter(|| Message::decode(black_box(&bytes).clone()));
    });
}

fn merge(c: &mut Criterion) {
    by_size(c, "merge", |b, size| {
        let messages = vec![request(payload(size), Flags::CRC); MERGED];
        let mut out = Vec::new();
        b.iter(|| {
            out.clear();
            encode_merged(black_box(&messages), &mut out);
            black_box(&out);
        });
    });
    by_size(c, "unfold", |b, size| {
        let mut out = Vec::new();
        encode_merged(&vec![request(payload(size), Flags::CRC); MERGED], &mut out);
        let bytes = Bytes::from(out);
        b.iter(|| {
            unfold(black_box(&bytes).clone())
                .filter(Result::is_ok)
                .count()
        });
    });
}

fn sum(c: &mut Criterion) {
    by_size(c, "checksum", |b, size| {
        let bytes = payload(size);
        b.iter(|| checksum(black_box(&bytes)));
    });
}

criterion_group!(benches, encode, decode, merge, sum);
criterion_main!(benches);

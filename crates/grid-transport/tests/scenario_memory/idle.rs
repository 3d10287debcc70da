//! What is declared and not sent costs nothing, and what was sent is given back: H02, H03, H14.

use std::{future::IntoFuture, hint::black_box, time::Duration};

use grid_proto::MuxId;
use grid_proto::wire::{ConnectRequest, ConnectResponse, Message, MuxConnectError, Op, Ping, Pong};
use grid_transport::LinkCause;
use tokio::time::Instant;

use crate::{
    alone,
    bulk::{frame_head, large_call},
    hostile::{LENGTH, a_thousand_calls, dialers, dialing, let_in, numbered, read_until, serving},
    node::{self, A},
    raw::{self, Raw},
    scale::scaled,
    watch::{Watch, held},
};

const KIB: usize = 1024;

#[test]
fn h02_a_frame_that_declares_exabytes_is_closed_with_1009_and_costs_nothing() {
    alone(async {
        let (address, manager) = serving(node::settings(), &[]).await;
        let link = manager.connection(A).unwrap();
        for len in [1_u64 << 40, 1 << 62, u64::MAX >> 1, u64::MAX] {
            // After the handshake, and in place of it.
            for inside in [true, false] {
                let mut raw = if inside {
                    let_in(address, A).await
                } else {
                    Raw::upgrade(address, raw::PATH).await
                };
                if inside {
                    node::connected(&link).await;
                }
                let watch = Watch::begin();
                raw.send_bytes(&frame_head(0x82, len)).await;
                let left = raw.read_to_end().await;
                assert_eq!(left.len(), 1);
                assert_eq!(
                    (left[0].opcode, &left[0].payload[..]),
                    (raw::CLOSE, &b"\x03\xf1"[..])
                );
                assert!(watch.peak() < 64 * KIB, "{} bytes more", watch.peak());
                if inside {
                    node::down_because(&link, |cause| {
                        matches!(cause, LinkCause::TooLarge { len: told, .. } if *told == len)
                            .then_some(())
                    })
                    .await;
                }
            }
        }
        manager.shutdown(Duration::ZERO).await;
    });
}

/// Ends in a length of 2^32 - 1 strings, elements, pairs or bytes, at every place of a structure.
fn declarations() -> Vec<Vec<u8>> {
    let keys = [
        "ID",
        "Host",
        "Time",
        "Token",
        "Accepted",
        "RejectedReason",
        "Error",
        "t",
        "nf",
        "e",
        "X",
        "other",
    ];
    let mut payloads = Vec::new();
    for head in [0xdb, 0xc6, 0xdd, 0xdf, 0xc9] {
        let length = [head, 0xff, 0xff, 0xff, 0xff];
        payloads.push(length.to_vec());
        for key in keys {
            let mut field = vec![0x81, 0xa0 | u8::try_from(key.len()).unwrap()];
            field.extend(key.as_bytes());
            payloads.push([&field[..], &length].concat());
            payloads.push([&field[..], &length, &[0xa0; 100]].concat());
        }
    }
    payloads
}

#[test]
fn h03_lengths_that_a_structure_declares_are_errors_and_cost_nothing_unit() {
    let once = |read: &dyn Fn() -> bool| {
        let before = crate::ALLOCATOR.stats().bytes_allocated;
        assert!(black_box(read()), "it has to be an error");
        crate::ALLOCATOR.stats().bytes_allocated - before
    };
    // Whoever runs the tests allocates too, now and then.
    let bytes = |read: &dyn Fn() -> bool| (0..5).map(|_| once(read)).min().unwrap_or_default();
    alone(async {
        for payload in declarations() {
            let whole = bytes::Bytes::from(payload.clone());
            let readers: [&dyn Fn() -> bool; 5] = [
                &|| ConnectRequest::decode(&whole).is_err(),
                &|| ConnectResponse::decode(&whole).is_err(),
                &|| MuxConnectError::decode(&whole).is_err(),
                &|| Ping::decode(&whole).is_err(),
                &|| Pong::decode(&whole).is_err(),
            ];
            for read in readers {
                let cost = bytes(read);
                assert!(cost < 1_024, "{cost} bytes for {payload:x?}");
            }
        }
    });
}

#[test]
fn h03_lengths_that_a_peer_declares_cost_the_node_nothing() {
    alone(async {
        let (address, manager) = serving(node::settings(), &[]).await;
        let (mut acceptor, dialer, link) = dialing(node::settings()).await;
        let mut inside = let_in(address, A).await;
        a_thousand_calls(&mut inside, true).await;
        let watch = Watch::begin();
        for payload in declarations() {
            let mut raw = Raw::upgrade(address, raw::PATH).await;
            raw.send_message(&Message {
                payload: payload.clone().into(),
                ..Message::new(Op::Connect, MuxId::CONNECTION)
            })
            .await;
            let response = raw.read_response().await.unwrap();
            let reason = response.rejected_reason.to_string();
            assert!(reason.starts_with("error parsing connectReq: "), "{reason}");
            drop(raw);
            // What is inside already: pings are answered whatever they hold, refusals end their call.
            for op in [Op::Ping, Op::Pong] {
                inside
                    .send_message(&Message {
                        payload: payload.clone().into(),
                        ..Message::new(op, MuxId::CONNECTION)
                    })
                    .await;
            }
            let call = tokio::spawn(IntoFuture::into_future(link.request(LENGTH, "x")));
            let asked = acceptor.read_message().await.unwrap();
            let refusal = numbered(Op::MuxConnectError, asked.mux.get(), 0, payload.clone());
            acceptor.send_message(&refusal).await;
            let error = call.await.unwrap().unwrap_err().to_string();
            assert!(error.contains("the reason could not be read"), "{error}");
        }
        inside.round_trip().await;
        let peak = watch.peak();
        assert!(peak < 512 * KIB, "{peak} bytes more at some time");
        manager.shutdown(Duration::ZERO).await;
        dialer.shutdown(Duration::ZERO).await;
    });
}

/// Bytes of the pages of this process, which the kernel has multiplied already.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"));
    kib.unwrap().trim().parse::<usize>().unwrap() * KIB
}

/// Runs the test again in a process whose allocator gives back to the system what is freed: how long the system's own
/// keeps it is not up to us. True in that process.
fn with_a_giving_allocator(test: &str) -> bool {
    let giving = "MALLOC_TRIM_THRESHOLD_";
    if std::env::var_os(giving).is_some() {
        return true;
    }
    let _turn = crate::turn();
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(giving, "65536")
        .env("MALLOC_MMAP_THRESHOLD_", "65536")
        .env("MALLOC_ARENA_MAX", "1")
        .status()
        .unwrap();
    assert!(status.success());
    false
}

/// Runs under `MALLOC_TRIM_THRESHOLD_=65536`, `MALLOC_MMAP_THRESHOLD_=65536` and `MALLOC_ARENA_MAX=1`, so that what is
/// freed leaves the process; what is allocated is judged whatever the allocator does. Only Linux tells what is resident.
#[test]
#[cfg_attr(
    not(target_os = "linux"),
    ignore = "what is resident is read from /proc"
)]
fn h14_idle_links_give_back_what_they_once_carried() {
    if !with_a_giving_allocator("idle::h14_idle_links_give_back_what_they_once_carried") {
        return;
    }
    if std::env::var_os("GRID_SANITIZER").is_some() {
        println!("H14: a sanitizer keeps what is freed, so what is resident is not judged");
    }
    let count = scaled("H14", "connections", 10, 100);
    let size = scaled("H14", "MiB each", 8, 64) * KIB * KIB;
    alone(async {
        let names = dialers(count);
        let (address, manager) = serving(node::settings(), &names).await;
        let mut raws = Vec::new();
        for name in &names {
            let mut raw = let_in(address, name).await;
            raw.round_trip().await;
            raws.push(raw);
        }
        let (base, base_resident) = (held(), resident());
        for raw in &mut raws {
            large_call(raw, Op::Request, LENGTH, 1, size).await;
        }
        for raw in &mut raws {
            let came = read_until(raw, |came| !came.is_empty()).await;
            let answer: usize = std::str::from_utf8(&came[0].payload)
                .unwrap()
                .parse()
                .unwrap();
            assert!(answer > size - 64 && answer < size);
        }
        let carried = Instant::now();
        let allowed = count * 256 * KIB;
        loop {
            let more = held().saturating_sub(base);
            let resident = match std::env::var_os("GRID_SANITIZER") {
                None => resident().saturating_sub(base_resident),
                Some(_) => 0,
            };
            if more <= allowed && resident <= allowed {
                println!(
                    "H14: {} KiB more allocated, {} resident, for {count} links, after {:?}",
                    more / KIB,
                    resident / KIB,
                    carried.elapsed()
                );
                break;
            }
            assert!(
                carried.elapsed() < Duration::from_secs(5),
                "{more} bytes allocated and {resident} resident beyond the {allowed} allowed"
            );
            // tidy: sleep: the row gives it five seconds
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for raw in &mut raws {
            assert!(raw.round_trip().await.is_empty());
        }
        manager.shutdown(Duration::ZERO).await;
    });
}

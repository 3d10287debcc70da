//! Captures made of recorded conversations.

use crate::{
    decode,
    packets::{Link, Packet, connection, pcap, pcapng},
    recording::{Way, conversation},
};

const FRAGMENTED: &str = "scripted_fragmented_frame";
const STREAM: &str = "stream_twoway_subroute_by_client";

/// What stands behind the time and the ends of a line.
fn without_place(line: &str) -> String {
    line.splitn(5, ' ').nth(4).unwrap_or_default().to_owned()
}

/// Both ways' messages, each way's in its order.
fn messages(stdout: &str) -> [Vec<String>; 2] {
    ["9000 ", "40000 "].map(|to| {
        let lines = stdout.lines();
        let to_it = lines.filter(|line| {
            let mut words = line.splitn(5, ' ');
            words
                .nth(3)
                .is_some_and(|end| format!("{end} ").ends_with(to))
        });
        to_it.map(without_place).collect()
    })
}

/// Decodes a capture without damage.
#[track_caller]
fn whole(file: &[u8]) -> String {
    let ran = decode(&["--pcap", "-"], file);
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (Some(0), ""),
        "{}",
        ran.stdout
    );
    ran.stdout
}

/// Sends one packet as several of at most `len` bytes.
fn cut(packets: &[Packet], len: usize) -> Vec<Packet> {
    let mut small = Vec::new();
    for packet in packets {
        if packet.bytes.is_empty() {
            small.push(packet.clone());
        }
        for (index, bytes) in packet.bytes.chunks(len).enumerate() {
            let seq = packet.seq.wrapping_add(u32::try_from(index * len).unwrap());
            let bytes = bytes.to_vec();
            small.push(Packet {
                seq,
                bytes,
                ..packet.clone()
            });
        }
    }
    small
}

#[test]
fn a_conversation_line_by_line() {
    let packets = connection(&conversation(FRAGMENTED), 1000);
    let stdout = whole(&pcap(&packets, Link::Ethernet, usize::MAX));
    let (c, s) = (
        "10.0.0.1:40000 > 10.0.0.2:9000",
        "10.0.0.2:9000 > 10.0.0.1:40000",
    );
    let wanted = [
        format!(
            "0.002000 {c} http GET /minio/grid/v1 Host=\"node-b:9000\" Upgrade=\"websocket\" \
             Connection=\"Upgrade\" Sec-WebSocket-Version=\"13\" \
             Sec-WebSocket-Key=\"GWkxaABiyGJ3MV9GvGm4Aw==\""
        ),
        format!(
            "0.003000 {s} http 101 Switching Protocols Upgrade=\"websocket\" \
             Connection=\"Upgrade\" Sec-WebSocket-Accept=\"ia+MF5j8w8UyYMxAnunBRNAQBIQ=\""
        ),
        format!(
            "0.004000 {c} Connect mux=0 seq=0 flags=- deadline=none handler=0 crc=none \
             host=\"http://node-a:9000\" time=2026-11-22T12:11:10.994420681Z \
             id=8f0102030405460788090a0b0c0d0eff token=(5 bytes)"
        ),
        format!(
            "0.005000 {s} ConnectResponse mux=0 seq=0 flags=- deadline=none handler=0 crc=none \
             accepted=true id=71f0b5af29104880b57200933996c1c2"
        ),
        format!("0.007000 {c} ws-ping payload=\"mid\" (3 bytes)"),
        format!("0.009000 {s} ws-pong payload=\"mid\" (3 bytes)"),
        format!(
            "0.010000 {c} Request mux=1 seq=0 flags=CRC|EOF deadline=none handler=9 crc=ok \
             payload=\"fragmented payload\" (18 bytes)"
        ),
        format!(
            "0.011000 {s} Response mux=1 seq=0 flags=CRC|EOF deadline=none handler=0 crc=ok \
             payload=\"fragmented payload\" (18 bytes)"
        ),
    ];
    assert_eq!(stdout.lines().collect::<Vec<_>>(), wanted);
}

#[test]
fn what_the_network_does_to_segments_changes_nothing() {
    for (name, isn) in [(FRAGMENTED, 1000), (STREAM, u32::MAX - 300)] {
        let packets = connection(&conversation(name), isn);
        let plain = messages(&whole(&pcap(&packets, Link::Ethernet, usize::MAX)));
        assert!(plain.iter().all(|way| way.len() > 3), "{plain:#?}");

        let bytes = cut(&packets, 1);
        assert_eq!(
            messages(&whole(&pcap(&bytes, Link::Ethernet, usize::MAX))),
            plain
        );

        let mut shuffled = cut(&packets, 7);
        // The handshake stays where it is.
        for pair in shuffled[2..].chunks_mut(5) {
            pair.reverse();
        }
        assert_eq!(
            messages(&whole(&pcap(&shuffled, Link::Ethernet, usize::MAX))),
            plain
        );

        let mut again = Vec::new();
        for (index, packet) in cut(&packets, 9).into_iter().enumerate() {
            again.push(packet.clone());
            // Some come again whole, some with what stood before them, and the SYNs too.
            if index % 2 == 0 {
                again.push(packet);
            } else if let Some(longer) = joined(&again) {
                again.push(longer);
            }
        }
        assert!(again.len() > packets.len());
        assert_eq!(
            messages(&whole(&pcap(&again, Link::Ethernet, usize::MAX))),
            plain
        );
    }
}

/// The last two packets as one, where they go the same way one behind the other.
fn joined(packets: &[Packet]) -> Option<Packet> {
    let [.., first, second] = packets else {
        return None;
    };
    let follows = first.seq.wrapping_add(first.len()) == second.seq;
    (first.way == second.way && follows && !first.syn).then(|| Packet {
        bytes: [&first.bytes[..], &second.bytes].concat(),
        ..first.clone()
    })
}

#[test]
fn every_link_and_both_formats() {
    let packets = connection(&conversation(STREAM), 5);
    let plain = whole(&pcap(&packets, Link::Ethernet, usize::MAX));
    for link in Link::ALL {
        let stdout = whole(&pcap(&packets, link, usize::MAX));
        if link == Link::EthernetIpv6 {
            let (c, s) = ("[fd00::1]:40000", "[fd00::2]:9000");
            let as_v4 = stdout
                .replace(c, "10.0.0.1:40000")
                .replace(s, "10.0.0.2:9000");
            assert_eq!(as_v4, plain);
        } else {
            assert_eq!(stdout, plain, "{link:?}");
        }
        // Without --pcap a capture is known by its looks.
        for is_big in [false, true] {
            let ran = decode(&[], &pcapng(&packets, link, is_big));
            assert_eq!(
                (ran.code, &ran.stdout),
                (Some(0), &stdout),
                "{link:?} {is_big}: {}",
                ran.stderr
            );
        }
    }
}

#[test]
fn a_second_connection_of_the_same_ends() {
    let pieces = conversation(FRAGMENTED);
    let mut packets = connection(&pieces, 1000);
    // The first one breaks in the middle of a frame, and the second has other numbers.
    packets.truncate(7);
    let frame = packets.last_mut().unwrap();
    assert_eq!(frame.way, Way::ToServer);
    frame.bytes.truncate(8);
    packets.extend(connection(&pieces, 77_000));
    let ran = decode(&["--pcap", "-"], &pcap(&packets, Link::Raw, usize::MAX));
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
    let [to_server, _] = messages(&ran.stdout);
    let requests = to_server.iter().filter(|line| line.starts_with("Request "));
    assert_eq!(requests.count(), 1, "{}", ran.stdout);
    assert!(
        ran.stdout
            .contains("offset=256 a message in several frames that does not end; 2 bytes skipped"),
        "{}",
        ran.stdout
    );
    let connects = to_server.iter().filter(|line| line.starts_with("Connect "));
    assert_eq!(connects.count(), 2, "{}", ran.stdout);
}

#[test]
fn what_is_no_grid_is_left_out() {
    let pieces = [
        (Way::ToServer, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        (
            Way::ToClient,
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec(),
        ),
    ];
    let mut packets = connection(&pieces, 1);
    for (index, bytes) in [&b"\x16\x03\x01\x02\x00\x01"[..], &[0x82; 900]]
        .into_iter()
        .enumerate()
    {
        let pieces = [(Way::ToServer, bytes.to_vec())];
        packets.extend(connection(
            &pieces,
            500_000 * (2 + u32::try_from(index).unwrap()),
        ));
    }
    let ran = decode(
        &["--pcap", "-"],
        &pcap(&packets, Link::Ethernet, usize::MAX),
    );
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""));
    assert_eq!(
        ran.stderr,
        "grid: 3 connections that are no grid in plain text were left out\n"
    );
}

#[test]
fn json_has_the_ends_and_the_time() {
    let packets = connection(&conversation(STREAM), 5);
    let ran = decode(
        &["--pcap", "-", "--json"],
        &pcap(&packets, Link::Raw, usize::MAX),
    );
    let lines: Vec<serde_json::Value> = ran
        .lines()
        .into_iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["kind"], "http");
    let connect = &lines[2];
    assert_eq!(connect["time"], "0.004000");
    assert_eq!(
        (&connect["src"], &connect["dst"]),
        (&"10.0.0.1:40000".into(), &"10.0.0.2:9000".into())
    );
    assert_eq!(
        connect["structure"]["connect"]["host"],
        "http://node-a:9000"
    );
    assert_eq!(connect["hidden"], true);
    assert!(lines.iter().any(|line| line["inside"] == true));
}

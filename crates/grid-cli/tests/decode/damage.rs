//! Damage is shown where it is, and reading goes on.

use crate::{
    Ran, decode,
    packets::{Link, Packet, connection, pcap},
    recording::{Way, conversation, direction, frame},
};

const REQUEST: &str = "970100cdea60090e03c404726571304e6ee9c9";
const SHOWN: &str = "Request mux=1 seq=0 flags=CRC|EOF deadline=60s handler=9 crc=ok \
                     payload=\"req0\" (4 bytes)";

fn request() -> Vec<u8> {
    hex::decode(REQUEST).unwrap()
}

/// Asserts these lines, and that so many of so many messages are damaged.
#[track_caller]
fn assert_lines(ran: &Ran, wanted: &[&str], damaged: &str) {
    assert_eq!(ran.lines(), wanted);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.stderr, format!("grid: {damaged} damaged\n"));
}

#[test]
fn messages_back_to_back() {
    let mut flipped = request();
    flipped[12] ^= 1;
    let mut longer = request();
    // Its payload now takes in what follows.
    longer[10] = 30;
    let bytes = [
        &request()[..],
        &flipped,
        b"garbage",
        &request(),
        &longer,
        &request(),
        &request()[..9],
    ]
    .concat();
    let ran = decode(&[], &bytes);
    assert_lines(
        &ran,
        &[
            &format!("      0 {SHOWN}"),
            "     19 damage wrong checksum, and no message begins behind it; 26 bytes skipped",
            &format!("     45 {SHOWN}"),
            "     64 damage wrong checksum, and no message begins behind it; 19 bytes skipped",
            &format!("     83 {SHOWN}"),
            "    102 damage no message: payload at byte 9 is cut short; 9 bytes skipped",
        ],
        "3 of 6 messages are",
    );
    // Where the next message begins behind it, only the checksum is wrong.
    let ran = decode(&[], &[&flipped[..], &request()].concat());
    let lines = ran.lines();
    assert!(
        lines[0].starts_with("      0 Request") && lines[0].contains("crc=wrong given=c9e96e4e"),
        "{lines:?}"
    );
    assert_eq!(lines[1..], [format!("     19 {SHOWN}")]);
    assert_eq!(ran.stderr, "grid: 1 of 2 messages is damaged\n");
}

#[test]
fn one_message_with_stray_bytes_is_one() {
    // Stray bytes between the array and the checksum, which covers them.
    let mut bytes = hex::decode("97010000000d01c400").unwrap();
    bytes.extend_from_slice(b"stray");
    let sum = grid_proto::wire::checksum(&bytes).to_le_bytes();
    bytes.extend_from_slice(&sum);
    let ran = decode(&[], &bytes);
    assert_eq!(
        ran.lines(),
        [
            "      0 AckMux mux=1 seq=0 flags=CRC deadline=none handler=0 crc=ok stray=5 payload=absent"
        ]
    );
    assert_eq!(ran.code, Some(0));
}

#[test]
fn a_direction_of_frames() {
    let unmasked = frame(2, true, false, &request());
    let bytes = [
        &unmasked[..],
        &frame(2, false, true, b"\x97\x01"),
        &frame(9, true, false, b"ping"),
        &frame(2, true, false, &request()),
        &frame(0, true, false, b"more"),
        &frame(3, true, false, b"reserved"),
        &frame(2, true, true, &request()),
        &frame(8, true, true, b"\x03\xe8bye"),
        &unmasked[..12],
    ]
    .concat();
    let ran = decode(&[], &bytes);
    assert_lines(
        &ran,
        &[
            &format!("      0 {SHOWN}"),
            "     29 ws-ping payload=\"ping\" (4 bytes)",
            "     21 damage a message in several frames that does not end; 2 bytes skipped",
            &format!("     35 {SHOWN}"),
            "     56 damage a frame that continues nothing; 4 bytes skipped",
            "     62 damage no websocket frame: a reserved opcode; 10 bytes skipped",
            &format!("     72 {SHOWN}"),
            "     97 ws-close code=1000 payload=\"bye\" (3 bytes)",
            "    108 damage the message is cut after 10 of its 19 bytes",
        ],
        "4 of 7 messages are",
    );
}

fn run(packets: &[Packet], snap: usize) -> Ran {
    decode(&["--pcap", "-"], &pcap(packets, Link::Ethernet, snap))
}

/// The recorded stream, from its first call on.
fn calls(ran: &Ran) -> Vec<String> {
    let lines = ran.lines().into_iter();
    lines
        .filter(|line| !line.contains(" http ") && !line.contains(" Connect"))
        .map(|line| {
            line.replace("10.0.0.1:40000 > 10.0.0.2:9000", "->")
                .replace("10.0.0.2:9000 > 10.0.0.1:40000", "<-")
        })
        .collect()
}

#[test]
fn a_segment_that_was_not_captured() {
    let mut packets = connection(&conversation("stream_twoway_subroute_by_client"), 5);
    // One MuxClientMsg of the caller.
    let lost = packets.remove(11);
    assert_eq!((lost.way, lost.bytes.len()), (Way::ToServer, 21));
    let ran = run(&packets, usize::MAX);
    assert_eq!(
        calls(&ran),
        [
            "0.007000 <- AckMux mux=1 seq=0 flags=CRC deadline=none handler=0 crc=ok payload=absent",
            "0.008000 -> MuxClientMsg mux=1 seq=1 flags=CRC deadline=none handler=0 crc=ok payload=\"m0\" (2 bytes)",
            "0.009000 <- Merged mux=0 seq=2 flags=- deadline=none handler=0 crc=none messages=2 payload=absent",
            "0.009000 <-   UnblockClMux mux=1 seq=1 flags=CRC deadline=none handler=0 crc=ok payload=absent",
            "0.009000 <-   MuxServerMsg mux=1 seq=2 flags=CRC deadline=none handler=0 crc=ok payload=\"m0\" (2 bytes)",
            "0.010000 -> UnblockSrvMux mux=1 seq=2 flags=CRC deadline=none handler=0 crc=ok payload=absent",
            "0.011000 <- UnblockClMux mux=1 seq=3 flags=CRC deadline=none handler=0 crc=ok payload=absent",
            "0.012000 <- MuxServerMsg mux=1 seq=4 flags=CRC deadline=none handler=0 crc=ok payload=\"m1\" (2 bytes)",
            "0.014000 <- Merged mux=0 seq=2 flags=- deadline=none handler=0 crc=none messages=2 payload=absent",
            "0.014000 <-   MuxServerMsg mux=1 seq=5 flags=CRC|EOF deadline=none handler=0 crc=ok payload=absent",
            "0.014000 <-   DisconnectClientMux mux=1 seq=0 flags=CRC deadline=none handler=0 crc=ok payload=absent",
            "0.014000 -> damage offset=415 21 bytes are missing; 21 bytes skipped",
            "0.014000 -> Merged mux=0 seq=2 flags=- deadline=none handler=0 crc=none messages=2 payload=absent",
            "0.014000 ->   UnblockSrvMux mux=1 seq=4 flags=CRC deadline=none handler=0 crc=ok payload=absent",
            "0.014000 ->   MuxClientMsg mux=1 seq=5 flags=CRC|EOF deadline=none handler=0 crc=ok payload=absent",
        ]
    );
    assert_eq!(ran.code, Some(1));
}

#[test]
fn a_part_of_a_frame_that_was_not_captured() {
    let mut pieces = conversation("stream_twoway_subroute_by_client");
    pieces.truncate(10);
    let mut packets = connection(&pieces, 5);
    // The middle of the merged message with two inside.
    let merged = packets[9].clone();
    assert_eq!((merged.way, merged.bytes.len()), (Way::ToClient, 43));
    packets[9].bytes.truncate(30);
    packets.insert(
        10,
        Packet {
            seq: merged.seq + 35,
            bytes: merged.bytes[35..].to_vec(),
            ..merged
        },
    );
    let ran = run(&packets, usize::MAX);
    assert_eq!(
        calls(&ran),
        [
            "0.007000 <- AckMux mux=1 seq=0 flags=CRC deadline=none handler=0 crc=ok payload=absent",
            "0.008000 -> MuxClientMsg mux=1 seq=1 flags=CRC deadline=none handler=0 crc=ok payload=\"m0\" (2 bytes)",
            "0.011000 -> UnblockSrvMux mux=1 seq=2 flags=CRC deadline=none handler=0 crc=ok payload=absent",
            "0.012000 -> MuxClientMsg mux=1 seq=3 flags=CRC deadline=none handler=0 crc=ok payload=\"m1\" (2 bytes)",
            "0.012000 <- Merged mux=0 seq=2 flags=- deadline=none handler=0 crc=none messages=2 payload=absent",
            "0.012000 <-   UnblockClMux mux=1 seq=1 flags=CRC deadline=none handler=0 crc=ok payload=absent",
            "0.012000 <- damage offset=203 the message is cut after 28 of its 41 bytes",
        ]
    );
    assert_eq!(ran.code, Some(1));
}

#[test]
fn a_capture_that_begins_in_the_middle() {
    let packets = connection(&conversation("stream_twoway_subroute_by_client"), 5);
    let mut packets = packets[8..].to_vec();
    packets[0].bytes.drain(..4);
    packets[0].seq += 4;
    let ran = run(&packets, usize::MAX);
    assert_eq!(
        calls(&ran),
        [
            "0.001000 <- Merged mux=0 seq=2 flags=- deadline=none handler=0 crc=none messages=2 payload=absent",
            "0.001000 <-   UnblockClMux mux=1 seq=1 flags=CRC deadline=none handler=0 crc=ok payload=absent",
            "0.001000 <-   MuxServerMsg mux=1 seq=2 flags=CRC deadline=none handler=0 crc=ok payload=\"m0\" (2 bytes)",
            "0.002000 -> damage offset=0 no frame begins here; 17 bytes skipped",
            "0.002000 -> UnblockSrvMux mux=1 seq=2 flags=CRC deadline=none handler=0 crc=ok payload=absent",
            "0.003000 -> MuxClientMsg mux=1 seq=3 flags=CRC deadline=none handler=0 crc=ok payload=\"m1\" (2 bytes)",
            "0.004000 <- UnblockClMux mux=1 seq=3 flags=CRC deadline=none handler=0 crc=ok payload=absent",
            "0.005000 <- MuxServerMsg mux=1 seq=4 flags=CRC deadline=none handler=0 crc=ok payload=\"m1\" (2 bytes)",
            "0.006000 -> Merged mux=0 seq=2 flags=- deadline=none handler=0 crc=none messages=2 payload=absent",
            "0.006000 ->   UnblockSrvMux mux=1 seq=4 flags=CRC deadline=none handler=0 crc=ok payload=absent",
            "0.006000 ->   MuxClientMsg mux=1 seq=5 flags=CRC|EOF deadline=none handler=0 crc=ok payload=absent",
            "0.007000 <- Merged mux=0 seq=2 flags=- deadline=none handler=0 crc=none messages=2 payload=absent",
            "0.007000 <-   MuxServerMsg mux=1 seq=5 flags=CRC|EOF deadline=none handler=0 crc=ok payload=absent",
            "0.007000 <-   DisconnectClientMux mux=1 seq=0 flags=CRC deadline=none handler=0 crc=ok payload=absent",
        ]
    );
    assert_eq!(ran.code, Some(1));
}

#[test]
fn packets_that_were_cut() {
    let mut pieces = conversation("stream_twoway_subroute_by_client");
    pieces.truncate(8);
    // Ethernet, IP and TCP take 54 bytes, and 40 are kept of what is in them.
    let ran = run(&connection(&pieces, 5), 94);
    assert_eq!(
        calls(&ran),
        [
            "0.007000 <- damage offset=0 89 bytes are missing; 188 bytes skipped",
            "0.007000 <- AckMux mux=1 seq=0 flags=CRC deadline=none handler=0 crc=ok payload=absent",
            "0.008000 -> damage offset=0 187 bytes are missing; 375 bytes skipped",
            "0.008000 -> MuxClientMsg mux=1 seq=1 flags=CRC deadline=none handler=0 crc=ok payload=\"m0\" (2 bytes)",
            "0.009000 <- Merged mux=0 seq=2 flags=- deadline=none handler=0 crc=none messages=2 payload=absent",
            "0.009000 <-   UnblockClMux mux=1 seq=1 flags=CRC deadline=none handler=0 crc=ok payload=absent",
            "0.009000 <- damage offset=203 the message is cut after 38 of its 41 bytes",
        ]
    );
    assert_eq!(ran.code, Some(1));
}

#[test]
fn a_capture_that_ends_in_the_middle_of_a_packet() {
    let packets = connection(&conversation("stream_twoway_subroute_by_client"), 5);
    let mut file = pcap(&packets[..7], Link::Ethernet, usize::MAX);
    file.truncate(file.len() - 3);
    let place = pcap(&packets[..6], Link::Ethernet, usize::MAX).len();
    let ran = decode(&["--pcap", "-"], &file);
    let last = ran.lines().last().copied().unwrap_or_default();
    assert_eq!(
        last,
        format!("{place:>7} damage the capture ends in the middle of a packet")
    );
    assert_eq!(ran.code, Some(1));
}

#[test]
fn every_cut_of_a_direction_tells_something() {
    let bytes = direction("scripted_fragmented_frame", Way::ToServer);
    for len in (1..bytes.len()).step_by(5) {
        let ran = decode(&["--as", "websocket"], &bytes[..len]);
        assert!(matches!(ran.code, Some(0 | 1)), "{len}: {ran:?}");
        assert!(!ran.stdout.is_empty(), "{len}");
        assert_eq!(
            ran.code == Some(1),
            ran.stdout.contains(" damage "),
            "{len}: {ran:?}"
        );
    }
}

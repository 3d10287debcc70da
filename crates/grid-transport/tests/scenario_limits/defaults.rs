//! The default of every limit, as designed.

use std::time::Duration;

use grid_proto::conn::{ITEM_COST, QUEUED_COST};
use grid_transport::Settings;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

#[test]
fn every_default_is_the_one_that_is_documented() {
    let of = Settings::new();
    let sizes = [
        (of.max_message, 64 * MIB),
        (of.max_handshake_message, 64 * KIB),
        (of.max_head, 16 * KIB),
        (of.max_handshakes, 1_024),
        (of.max_requests, 65_536),
        (of.max_handlers, 262_144),
        (of.max_streams, 16_384),
        (of.max_blocking, 64),
        (of.max_queued, 64 * MIB),
        (of.max_queued_node, GIB),
        (of.max_control, MIB),
        (of.max_inbound, 128 * MIB),
        (of.max_inbound_node, GIB),
        (of.max_unknown as usize, 10_000),
        (of.max_leftovers as usize, 65_536),
        (of.merge_limit, 64 * KIB),
        (of.read_chunk, 64 * KIB),
        (of.in_place_handlers, 256),
        (of.max_remembered, 1_024),
        (of.redial_rate as usize, 75),
    ];
    for (place, (value, wanted)) in sizes.into_iter().enumerate() {
        assert_eq!(value, wanted, "size {place}");
    }
    let times = [
        (of.handshake_timeout, 5_000),
        (of.dial_timeout, 2_000),
        (of.teardown, 1_000),
        (of.write_timeout, 4_000),
        (of.ping_interval, 10_000),
        (of.stream_ping_interval, 15_000),
        (of.room_timeout, 5_000),
        (of.default_deadline, 60_000),
        (of.max_clock_skew, 300_000),
        (of.redial_at_once_after, 5_000),
        (of.redial_jitter, 100),
        (of.redial_interval, 1_000),
        (of.redial_patience, 600_000),
        (of.redial_max, 30_000),
        (of.replace_after, 1_000),
        (of.replace_max, 30_000),
        (of.warn_interval, 3_600_000),
        (of.slow_poll, 1),
    ];
    for (place, (value, millis)) in times.into_iter().enumerate() {
        assert_eq!(value, Duration::from_millis(millis), "time {place}");
    }
    // What the page about operations says of them, on machines of 64 bits.
    assert_eq!((QUEUED_COST, ITEM_COST), (224, 128));
    assert_eq!(of.in_place_time, Duration::from_micros(200));
    assert!(!of.strict && !of.require_checksums && !of.own_worker);
    assert!(of.first_mux.is_none() && of.receive_buffer.is_none());
}

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| grid_transport::fuzzing::ws_frames(data));

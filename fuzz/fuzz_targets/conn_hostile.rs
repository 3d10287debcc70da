#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| grid_proto::fuzzing::conn_hostile(data));

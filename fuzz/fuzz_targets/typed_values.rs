#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    grid_typed::fuzzing::typed_values(data);
});

//! `cargo +nightly fuzz run frames`: the body is shared with the ordinary tests.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    sunfire_fuzz::frames(input);
});

//! `cargo +nightly fuzz run protocol`: the body is shared with the ordinary tests.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    sunfire_fuzz::protocol(input);
});

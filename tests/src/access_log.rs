//! Large, ordinary logs for benchmarks: the same bytes for the same seed, written at a gigabyte a second or so.

use std::io::{self, Write};

/// A small fast generator of numbers (SplitMix64, Steele, Lea and Flood 2014).
pub struct Numbers(u64);

impl Numbers {
    /// Numbers from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(end)) >> 64) as u64
    }
}

const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "curl/8.5.0",
];
const STATUS: [u16; 16] = [
    200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 304, 304, 301, 404, 404, 500,
];

/// Writes about `bytes` of an nginx access log in the combined format, some 3000 lines to a second of log time.
///
/// # Errors
/// If `out` can't be written.
pub fn write_access_log(out: &mut impl Write, bytes: u64, seed: u64) -> io::Result<()> {
    let mut numbers = Numbers::new(seed);
    let mut line = Vec::with_capacity(1024);
    let mut written = 0;
    let mut lines = 0u64;
    while written < bytes {
        line.clear();
        let seconds = lines / 3000;
        let (minute, second) = (seconds / 60, seconds % 60);
        let address = numbers.draw();
        let [a, b, c, d, ..] = address.to_le_bytes();
        let status = STATUS[numbers.below(16) as usize];
        let size = numbers.below(200) * numbers.below(500);
        let path = numbers.below(190_000);
        let agent = AGENTS[numbers.below(4) as usize];
        writeln!(
            line,
            "{a}.{b}.{c}.{d} - - [{:02}/Nov/2026:{:02}:{:02}:{second:02} +0000] \"GET /catalog/item/{path}?ref=home \
             HTTP/1.1\" {status} {size} \"https://shop.example/catalog/{}\" \"{agent}\"",
            1 + minute / 1440,
            minute / 60 % 24,
            minute % 60,
            path % 97,
        )?;
        out.write_all(&line)?;
        written += line.len() as u64;
        lines += 1;
    }
    Ok(())
}

/// Writes about `bytes` of an application log with `key=value` fields between bars, some 6000 lines to a second.
///
/// # Errors
/// If `out` can't be written.
pub fn write_application_log(out: &mut impl Write, bytes: u64, seed: u64) -> io::Result<()> {
    let mut numbers = Numbers::new(seed);
    let mut line = Vec::with_capacity(256);
    let mut written = 0;
    let mut lines = 0u64;
    while written < bytes {
        line.clear();
        let milliseconds = lines / 6;
        let seconds = milliseconds / 1000;
        let op = ["pay", "refund", "query", "cancel"][numbers.below(4) as usize];
        let result = if numbers.below(50) == 0 { "failure" } else { "success" };
        writeln!(
            line,
            "2026-11-23 {:02}:{:02}:{:02}.{:03} INFO - op={op}|result={result}|cost={}|amount={}.{:02}|trace={:016x}|\
             user=u{:07}",
            seconds / 3600 % 24,
            seconds / 60 % 60,
            seconds % 60,
            milliseconds % 1000,
            numbers.below(400),
            numbers.below(900),
            numbers.below(100),
            numbers.draw(),
            numbers.below(2_000_000),
        )?;
        out.write_all(&line)?;
        written += line.len() as u64;
        lines += 1;
    }
    Ok(())
}

/// Writes about `bytes` of JSON lines, some 4000 to a second.
///
/// # Errors
/// If `out` can't be written.
pub fn write_json_log(out: &mut impl Write, bytes: u64, seed: u64) -> io::Result<()> {
    let mut numbers = Numbers::new(seed);
    let mut line = Vec::with_capacity(256);
    let mut written = 0;
    let mut lines = 0u64;
    while written < bytes {
        line.clear();
        let (seconds, milliseconds) = (lines / 4000, lines % 4000 / 4);
        writeln!(
            line,
            "{{\"ts\":\"2026-11-23T{:02}:{:02}:{:02}.{milliseconds:03}Z\",\"level\":\"info\",\"service\":\"checkout\",\
             \"user\":{{\"id\":{},\"plan\":\"free\"}},\"msg\":\"request served in good time\",\"cost\":{},\
             \"path\":\"/v1/items/{}\",\"ok\":true}}",
            seconds / 3600 % 24,
            seconds / 60 % 60,
            seconds % 60,
            numbers.below(1_000_000),
            numbers.below(400),
            numbers.below(90_000),
        )?;
        out.write_all(&line)?;
        written += line.len() as u64;
        lines += 1;
    }
    Ok(())
}

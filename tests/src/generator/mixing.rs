//! Chance without state: every draw is a hash of (seed, host, file, line, what it is for).

/// What a draw is for, so that draws for different things are independent.
#[derive(Debug, Clone, Copy)]
pub enum Salt {
    /// Place of a stamp within its step.
    Jitter,
    /// Stamps at window edges.
    Edge,
    /// Runs of equal stamps.
    EqualRun,
    /// Lateness.
    Late,
    /// How late.
    LateBy,
    /// Single wild stamps.
    Wild,
    /// How far off.
    WildBy,
    /// Runs of wild stamps.
    WildRun,
    /// Where they begin.
    WildRunAt,
    /// How many there are.
    WildRunLength,
    /// Line ends.
    CrLf,
    /// Continuation lines.
    Continuation,
    /// How many.
    ContinuationCount,
    /// Which.
    ContinuationText,
    /// Torn pairs.
    Torn,
    /// Where they are torn.
    TornAt,
    /// Long texts.
    Long,
    /// Below, at or above the limit.
    LongBy,
    /// By which line.
    LongBySecondLine,
    /// Heads.
    Head,
    /// Ends.
    NoFinalNewline,
    /// Zone of a stamp.
    Zone,
    /// Ordinary values; the number tells them apart.
    Value(u8),
    /// Whether a value is odd.
    Odd(u8),
    /// Which odd value.
    OddValue(u8),
    /// Groups of one record.
    Cardinality,
    /// Lines without fields.
    Bare,
}

impl Salt {
    fn number(self) -> u64 {
        match self {
            Self::Jitter => 1,
            Self::Edge => 2,
            Self::EqualRun => 3,
            Self::Late => 4,
            Self::LateBy => 5,
            Self::Wild => 6,
            Self::WildBy => 7,
            Self::WildRun => 8,
            Self::WildRunAt => 9,
            Self::WildRunLength => 10,
            Self::CrLf => 11,
            Self::Continuation => 12,
            Self::ContinuationCount => 13,
            Self::ContinuationText => 14,
            Self::Torn => 15,
            Self::TornAt => 16,
            Self::Long => 17,
            Self::LongBy => 18,
            Self::LongBySecondLine => 19,
            Self::Head => 20,
            Self::NoFinalNewline => 21,
            Self::Zone => 22,
            Self::Cardinality => 23,
            Self::Bare => 24,
            Self::Value(which) => 0x100 + u64::from(which),
            Self::Odd(which) => 0x200 + u64::from(which),
            Self::OddValue(which) => 0x300 + u64::from(which),
        }
    }
}

/// The chance of one file.
pub struct Stream {
    key: u64,
}

impl Stream {
    /// The chance of a file under a seed.
    pub fn new(host: &str, file: &str, seed: u64) -> Self {
        Self {
            key: scramble(scramble(seed ^ text_hash(host)).wrapping_add(text_hash(file))),
        }
    }

    /// 64 random bits for a line and a purpose.
    pub fn mix(&self, seq: u64, salt: Salt) -> u64 {
        scramble(scramble(self.key ^ scramble(seq)).wrapping_add(salt.number()))
    }

    /// A number below `bound`.
    pub fn below(&self, seq: u64, salt: Salt, bound: u64) -> u64 {
        self.mix(seq, salt) % bound
    }

    /// Whether something that happens `per_mille` times in a thousand happens here.
    pub fn chance(&self, seq: u64, salt: Salt, per_mille: u64) -> bool {
        self.below(seq, salt, 1000) < per_mille
    }
}

/// One step of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
pub fn scramble(bits: u64) -> u64 {
    let mut z = bits.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// FNV-1a.
fn text_hash(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

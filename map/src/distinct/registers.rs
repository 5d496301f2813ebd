//! HyperLogLog registers and the number they stand for.
//!
//! The estimator is the improved raw one of Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog
//! sketches" (2017, arXiv:1702.01284, algorithm 6): one formula for all cardinalities, with neither tables of biases
//! nor a change of method in the middle. It uses additions, multiplications, divisions and square roots only, which
//! IEEE 754 rounds alike everywhere: equal registers give equal numbers on every machine.

use std::fmt;

/// Bits of a hash that choose the register.
const INDEX_BITS: u32 = 14;

/// Registers: 2¹⁴, of one byte each.
const REGISTERS: usize = 1 << INDEX_BITS;

/// Bits of a hash that are left for the rank.
const RANK_BITS: u32 = u64::BITS - INDEX_BITS;

/// The greatest rank: of a hash whose rank bits are all 0.
const RANK_MAX: usize = RANK_BITS as usize + 1;

/// For each of 16 384 parts of the hashes, the greatest rank seen: 1 + the number of leading zeros.
#[derive(Clone, PartialEq, Eq)]
pub struct Registers([u8; REGISTERS]);

impl Default for Registers {
    fn default() -> Self {
        Self([0; REGISTERS])
    }
}

impl fmt::Debug for Registers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Registers(about {})", self.estimate())
    }
}

impl Registers {
    /// Adds a hash.
    #[inline]
    pub fn add(&mut self, hash: u64) {
        let register = &mut self.0[(hash >> RANK_BITS) as usize];
        let rank = (hash << INDEX_BITS).leading_zeros().min(RANK_BITS) as u8 + 1;
        *register = (*register).max(rank);
    }

    /// The registers as they are sent or stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Registers that were sent or stored; `None` if no hashes can have filled them so.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let registers: [u8; REGISTERS] = bytes.try_into().ok()?;
        let possible = registers.iter().all(|&rank| usize::from(rank) <= RANK_MAX);
        possible.then_some(Self(registers))
    }

    /// Adds all hashes of another.
    pub fn merge(&mut self, other: &Self) {
        self.0
            .iter_mut()
            .zip(&other.0)
            .for_each(|(ours, theirs)| *ours = (*ours).max(*theirs));
    }

    /// The estimated number of different hashes, rounded.
    pub fn estimate(&self) -> u64 {
        let mut counts = [0_u32; RANK_MAX + 1];
        self.0.iter().for_each(|&rank| counts[usize::from(rank)] += 1);
        let registers = REGISTERS as f64;
        let mut sum = registers * tau(1.0 - f64::from(counts[RANK_MAX]) / registers);
        for &count in counts[1..RANK_MAX].iter().rev() {
            sum = 0.5 * (sum + f64::from(count));
        }
        sum += registers * sigma(f64::from(counts[0]) / registers);
        let bias_at_infinity = 0.5 / std::f64::consts::LN_2;
        (bias_at_infinity * registers * registers / sum).round() as u64
    }
}

/// σ(x) = x + Σ x^(2^k) 2^(k−1) over k ≥ 1, for registers still at 0; infinite at 1.
fn sigma(x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut power, mut weight, mut sum) = (x, 1.0, x);
    loop {
        power *= power;
        let before = sum;
        sum += power * weight;
        weight *= 2.0;
        if sum <= before {
            return sum;
        }
    }
}

/// τ(x) = (1 − x − Σ (1 − x^(2^−k))² 2^−k over k ≥ 1) / 3, for registers at the greatest rank.
fn tau(x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut root, mut weight, mut sum) = (x, 1.0, 1.0 - x);
    loop {
        root = root.sqrt();
        let before = sum;
        weight *= 0.5;
        sum -= (1.0 - root) * (1.0 - root) * weight;
        if sum >= before {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(hashes: &[u64], expected: u64) {
        let mut registers = Registers::default();
        hashes.iter().for_each(|&hash| registers.add(hash));
        assert_eq!(registers.estimate(), expected, "{hashes:x?}");
    }

    #[test]
    fn estimates_of_few() {
        check(&[], 0);
        check(&[1 << 63], 1);
        check(&[1 << 63, 1 << 63], 1);
        check(&[1 << 63, 1 << 62, 1 << 61], 3);
    }

    #[test]
    fn ranks() {
        for (hash, register, rank) in [
            (0, 0, 51),
            (1, 0, 50),
            (u64::MAX, REGISTERS - 1, 1),
            (1 << 49, 0, 1),
            (1 << 48, 0, 2),
            (1 << 50, 1, 51),
        ] {
            let mut registers = Registers::default();
            registers.add(hash);
            assert_eq!(registers.0[register], rank, "{hash:x}");
            assert_eq!(registers.0.iter().filter(|&&rank| rank > 0).count(), 1);
        }
    }

    #[test]
    fn registers_at_the_greatest_rank_count() {
        // What 2⁶⁴ ln 2 hashes would fill on average: half of the registers at the greatest rank, the rest as below.
        let ranks = [(51, 8192), (50, 4096), (49, 3072), (48, 960), (47, 64)];
        let mut registers = Registers::default();
        let filled = ranks.iter().flat_map(|&(rank, count)| std::iter::repeat_n(rank, count));
        assert_eq!(
            registers
                .0
                .iter_mut()
                .zip(filled)
                .map(|(register, rank)| *register = rank)
                .count(),
            REGISTERS
        );
        let expected = 2_f64.powi(64) * std::f64::consts::LN_2;
        let error = registers.estimate() as f64 / expected - 1.0;
        assert!(error.abs() < 0.001, "{error}");
    }

    #[test]
    fn full_registers_are_the_end_of_the_scale() {
        let mut registers = Registers::default();
        (0..REGISTERS as u64).for_each(|register| registers.add(register << RANK_BITS));
        assert_eq!(registers.estimate(), u64::MAX, "beyond all that can be told apart");
    }
}

//! Chance from a seed: jitter, nonces and spreads come from one generator per run, so that a run can be repeated.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::{StdRng, SysRng};
use rand::{Rng, RngExt, SeedableRng};

/// A handle to a generator (ChaCha12, as `rand`'s `StdRng`): fit for nonces when it is seeded by the system.
/// Clones share the generator; tasks whose order may vary should each take a [`Randomness::fork`].
#[derive(Clone)]
pub struct Randomness {
    generator: Arc<Mutex<StdRng>>,
}

impl std::fmt::Debug for Randomness {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Randomness { .. }")
    }
}

impl Randomness {
    /// Seeded by the operating system; fails only where that has no randomness to give.
    pub fn system() -> std::io::Result<Randomness> {
        let generator = StdRng::try_from_rng(&mut SysRng).map_err(std::io::Error::other)?;
        Ok(Randomness::from_generator(generator))
    }

    /// The same seed gives the same sequence: for simulations and tests only, since its nonces can be guessed.
    pub fn seeded(seed: u64) -> Randomness {
        Randomness::from_generator(StdRng::seed_from_u64(seed))
    }

    fn from_generator(generator: StdRng) -> Randomness {
        Randomness {
            generator: Arc::new(Mutex::new(generator)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, StdRng> {
        // A generator has no invariant that a panic elsewhere could break.
        self.generator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A generator of its own, seeded by the next number of this one.
    pub fn fork(&self) -> Randomness {
        Randomness::from_generator(StdRng::from_rng(&mut *self.lock()))
    }

    /// 32 random bytes, as for a nonce.
    pub fn bytes32(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.lock().fill_bytes(&mut bytes);
        bytes
    }

    /// A number below `bound`, evenly spread; 0 for a bound of 0.
    pub fn below(&self, bound: u64) -> u64 {
        if bound == 0 {
            0
        } else {
            self.lock().random_range(0..bound)
        }
    }

    /// A duration evenly spread over `[least, greatest)`; `least` when that is empty.
    pub fn duration_between(&self, least: Duration, greatest: Duration) -> Duration {
        let span = greatest.saturating_sub(least);
        let span_ns = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        least + Duration::from_nanos(self.below(span_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_run() {
        let draw = |randomness: &Randomness| {
            (
                randomness.below(1 << 40),
                randomness.fork().bytes32(),
                randomness.below(9),
            )
        };
        assert_eq!(draw(&Randomness::seeded(7)), draw(&Randomness::seeded(7)));
        assert_ne!(draw(&Randomness::seeded(7)), draw(&Randomness::seeded(8)));
    }

    #[test]
    fn the_system_seeds_differ_and_bounds_hold() {
        let (one, other) = (Randomness::system().unwrap(), Randomness::system().unwrap());
        assert_ne!(one.bytes32(), other.bytes32());
        assert_eq!(one.below(0), 0);
        for _ in 0..1000 {
            let between = one.duration_between(Duration::from_millis(3), Duration::from_millis(5));
            assert!((Duration::from_millis(3)..Duration::from_millis(5)).contains(&between));
        }
        let least = Duration::from_secs(2);
        assert_eq!(one.duration_between(least, Duration::from_secs(1)), least);
    }
}

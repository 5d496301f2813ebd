//! Stretches of time of which bytes are gone: how they are remembered, and lifted when the file is there again.

use super::generation::{Generation, Generations, Held, Moment, Orphan, is_renumbered};
use super::proof::Overlay;
use crate::verdict::HostState;
use agent::protocol::{Content, Generation as Listed, Identity, KnownGeneration, KnownVerdict};

/// Losses remembered; beyond, the oldest are joined, which says too much rather than too little.
const LOST_MAX: usize = 256;

/// A stretch of time of which bytes are gone.
pub(super) struct Lost {
    pub(super) overlay: Overlay,
    /// The file that went. If it is there again, and holds what it held, nothing is lost (C6): its folder was away, or
    /// its name was refused.
    pub(super) missing: Option<KnownGeneration>,
}

impl Lost {
    /// Whether a file is the one that went, under the number that its device has now.
    fn is_of(&self, listed: &Listed) -> bool {
        let is_it = |it: &KnownGeneration| it.identity == listed.identity || is_renumbered(listed, &it.identity);
        self.missing.as_ref().is_some_and(is_it)
    }
}

impl Generations {
    /// Whether a file is one that was missed, and the agent found that it still holds what was read of it.
    pub(super) fn is_back(&self, listed: &Listed) -> bool {
        let is_same = matches!(
            listed.content,
            Content::Readable {
                verdict: KnownVerdict::Same,
                ..
            }
        );
        is_same && self.lost.values().any(|lost| lost.is_of(listed))
    }

    /// Goes on with a file that was missed; that it was away is no loss any more.
    pub(super) fn restore(&mut self, listed: Listed, moment: Moment) -> Generation {
        let numbers: Vec<u64> = (self.lost.iter())
            .filter(|(_, lost)| lost.is_of(&listed))
            .map(|(number, _)| *number)
            .collect();
        self.lost.retain(|number, _| !numbers.contains(number));
        let is_of_it = |orphan: &Orphan| orphan.lost.is_some_and(|lost| numbers.contains(&lost.number()));
        let place = self.orphans.iter().position(is_of_it);
        let mut generation = Generation::new(listed, moment);
        if let Some(place) = place {
            generation.held = Held::Reading(self.orphans.remove(place).reading);
        }
        generation
    }

    /// A file that was missed is there, and holds other bytes: what it held is gone, who knows since when.
    pub(super) fn settle_missing(&mut self, identity: Identity, moment: Moment) {
        for lost in self.lost.values_mut() {
            if lost
                .missing
                .as_ref()
                .is_some_and(|missing| missing.identity == identity)
            {
                lost.missing = None;
                lost.overlay.to_ns = lost.overlay.to_ns.max(moment.t_ns.saturating_add(1));
            }
        }
    }

    pub(super) fn lose(&mut self, from_ns: i64, to_ns: i64, detail: String, missing: Option<KnownGeneration>) -> u64 {
        let number = self.losses;
        self.losses += 1;
        let overlay = Overlay {
            from_ns,
            to_ns,
            state: HostState::BytesLost,
            detail: Some(detail),
        };
        self.lost.insert(number, Lost { overlay, missing });
        number
    }

    /// Forgets losses that ended before a time, and joins the oldest where there are too many.
    pub(super) fn bound_losses(&mut self, before_ns: i64) {
        self.lost.retain(|_, lost| lost.overlay.to_ns >= before_ns);
        while self.lost.len() > LOST_MAX
            && let Some((_, oldest)) = self.lost.pop_first()
            && let Some(mut next) = self.lost.first_entry()
        {
            let next = next.get_mut();
            next.missing = None;
            next.overlay.from_ns = next.overlay.from_ns.min(oldest.overlay.from_ns);
            next.overlay.to_ns = next.overlay.to_ns.max(oldest.overlay.to_ns);
        }
    }
}

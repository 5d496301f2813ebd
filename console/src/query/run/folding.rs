//! What an answer says of groups that the monitor folded: which columns made so many, and what is unknown for it.

use super::super::merge::Finished;
use super::super::plan::Detail;
use super::Evaluation;

impl Evaluation {
    /// Remembers what a step has of folded groups, where that shows in its values.
    pub(super) fn note_folding(&mut self, step: &Finished) {
        let Some(plan) = step.plan.as_ref().filter(|_| step.is_folded) else {
            return;
        };
        let is_selected = plan.filter.is_some() || !plan.conditions.is_empty();
        if (is_selected || !plan.grouping.is_empty()) && step.facts.overflow > self.overflow {
            self.overflow.clone_from(&step.facts.overflow);
        }
        if is_selected || plan.detail == Detail::Coarser {
            self.warn(
                "groups over the monitor's limit were folded into `__other__`; what of it belongs to the groups asked \
                 for is unknown, so values are null where it matters: raise the monitor's `limits: { groups: … }`"
                    .to_owned(),
            );
        }
    }

    /// Says whose groups are too many, and by which columns.
    pub(super) fn warn_of_overflow(&mut self) {
        if let Some(overflow) = self.overflow.take() {
            self.warn(overflow.told(&self.monitor));
        }
    }
}

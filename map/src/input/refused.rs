//! Monitors whose fields can't be cut from a log, and the accounts of those whose can.

use super::account::Account;
use super::days::dated_from_ns;
use super::learn::Learned;
use super::pull::labels;
use super::reading::Reading;
use super::stream::Subscribed;
use super::suspension::starts_of;
use crate::engine::{Counter, Input as EngineInput, WindowStarts};
use crate::protocol::TaskId;

/// Monitors whose fields can't be cut from this log, and why.
#[derive(Debug, Default)]
pub(super) struct Refused(Vec<(TaskId, String)>);

impl Refused {
    /// Why a monitor can't be counted here, if so.
    pub(super) fn why(&self, id: &TaskId) -> Option<&str> {
        self.0
            .iter()
            .find(|(refused, _)| refused == id)
            .map(|(_, why)| why.as_str())
    }

    /// Takes over another's.
    pub(super) fn append(&mut self, other: &mut Self) {
        self.0.append(&mut other.0);
    }

    /// Forgets a monitor.
    pub(super) fn forget(&mut self, id: &TaskId) {
        self.0.retain(|(refused, _)| refused != id);
    }

    /// A monitor's account of a reading that begins, unless its fields can't be cut.
    pub(super) fn track(&mut self, subscribed: &Subscribed, reading: &Reading, family: &str) -> Option<Account> {
        let engine = self.engine(subscribed, &reading.learned, family)?;
        let subscription = &subscribed.subscription;
        let length_ns = subscription.plan.window_ns;
        let dated_ns = reading.learned.first_day_mark().and_then(dated_from_ns);
        let dated_ns = dated_ns.map_or(i64::MIN, |ns| (ns + length_ns - 1).div_euclid(length_ns) * length_ns);
        let asked = WindowStarts {
            within: subscription.from_ns.max(dated_ns)..subscription.until_ns.unwrap_or(i64::MAX),
            without: starts_of(&subscribed.suspended),
        };
        let (id, plan) = (subscription.id.clone(), subscription.plan.clone());
        Some(Account::new(id, plan, engine, asked, reading.reads_head()))
    }

    /// How a monitor counts a generation.
    pub(super) fn engine(&mut self, subscribed: &Subscribed, learned: &Learned, family: &str) -> Option<EngineInput> {
        let subscription = &subscribed.subscription;
        self.forget(&subscription.id);
        let plan = &*subscription.plan;
        let rule = match (&subscription.monitor.parse, plan.uses_fields()) {
            (_, false) => None,
            (Some(rule), true) => Some(rule.clone()),
            (None, true) => learned.rule.clone(),
        };
        let engine = EngineInput {
            labels: labels(subscription, family),
            lateness_ns: subscribed.lateness_ns(learned),
            generation: learned.key,
            form: learned.form(),
            rule,
        };
        let why = match (&engine.rule, plan.uses_fields()) {
            (None, true) => {
                "no fields were recognised in it: say how to cut it, as in `parse: { split: { by: '|' } }`".to_owned()
            }
            _ => match Counter::new(plan, engine.clone(), None) {
                Ok(_) => return Some(engine),
                Err(error) => error.to_string(),
            },
        };
        self.0.push((subscription.id.clone(), format!("{family}: {why}")));
        None
    }
}

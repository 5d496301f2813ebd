//! What is served over HTTP: the API, the page, the metrics, and what is asked of every request first.

mod api;
mod app;
mod files;
mod guard;
mod hosts;
mod logs;
mod metrics;
mod overview;
mod page;
mod reply;
#[cfg(test)]
mod tests;

pub(crate) use app::{Site, guarded, logged, routes};
pub use guard::ApiToken;
pub(crate) use guard::Doors;
pub(crate) use metrics::Metrics;

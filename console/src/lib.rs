//! The HTTP side: questions over stored points, the API, metrics, the web page.
//!
//! Owns what people and programs outside may ask, and how it is answered: [`query`] is the language over stored points,
//! [`process`] the listener. It refuses to know how windows come about: it reads what `reduce` stored through
//! [`points::Points`], and asks the Brain how everything stands. It changes nothing anywhere.

mod access_log;
mod http;
pub mod points;
pub mod process;
pub mod query;

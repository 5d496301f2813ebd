//! Text to records: where a line's timestamp stands and what it means, which lines make a record, what its fields are.
//!
//! Owns rules F1 to F4 and F8 to F9. Everything here is a function of the bytes it is given: it refuses to know files,
//! sockets, clocks and the machine's zone. `agent` bisects with it, `map` counts with it, the console previews with it.
//!
//! | module | holds |
//! |---|---|
//! | [`stamp`] | finding and reading timestamps |
//! | [`records`] | bytes to records |
//! | [`boundary`] | which lines may begin a record, if the user says so |
//! | [`order`] | which stamps are wild |
//! | [`text`] | encodings, and what container runtimes write around lines |
//! | [`fields`] | cutting fields out of a record |
//! | [`head`], [`survey`] | what a file's beginning tells, and what a look over its records shows |

pub mod boundary;
pub mod fields;
pub mod head;
pub mod order;
pub mod records;
pub mod stamp;
pub mod survey;
pub mod text;

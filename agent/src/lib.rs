//! What runs on every application host: finds log bytes and hands them out, and nothing else.
//!
//! It owns: the allowed roots and every open beneath them ([`roots`]), log path patterns ([`pattern`]), the
//! generations of a log and their identities ([`generations`]), the proof P1 that a listing was stable
//! ([`snapshot`]), the search for a time in a file ([`bisect`]), the sending of byte ranges ([`ranges`]) and the raw
//! `/proc` texts of the `system` source ([`system`]). [`service`] ties them to the requests of [`protocol`], which is
//! exactly what an upstream may say to an agent; [`profile`] is how it says where stamps stand.
//!
//! All that is a core without network, clock or task. Around it [`binding`] serves the protocol over `lika`, and
//! [`process`] makes a process of it that is configured, told where to listen, shut in by the kernel ([`guard`]; what
//! is in force says [`confinement`]), and ended by a signal.
//!
//! It refuses to know: what a record, a monitor or a window is. It parses nothing while serving but the stamps that a
//! search asks for, writes nothing, dials nobody, and keeps neither state nor a descriptor between two requests, the
//! descriptors of the roots and of files in `/proc` apart.

pub mod binding;
pub mod bisect;
mod browse;
pub mod confinement;
pub mod content;
pub mod generations;
pub mod guard;
pub mod pattern;
pub mod process;
pub mod profile;
pub mod protocol;
pub mod ranges;
pub mod roots;
pub mod rotation;
pub mod service;
pub mod snapshot;
pub mod system;
mod work;

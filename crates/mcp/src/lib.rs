//! Stage 9 for agents: questions over the Model Context Protocol → answers of the factory. Here stand the tools with their
//! arguments, the protocol and its limits; what they do, whoever starts the server gives. Nothing here knows catalog or store.
//!
//! ```text
//! standard input ──rmcp──▶ tools/call ──Request──▶ answer (given) ──JSON──▶ standard output
//! ```

mod jobs;
mod request;
mod server;

pub use request::{Explain, Image, Propose, Request, Search, TwoImages};
pub use server::{Answer, Settings, serve};

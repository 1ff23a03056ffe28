//! The loop that keeps what is published fresh. A universe or a feed of advisories changes; the images that it concerns, and
//! no others, are locked, built, scanned, tested, put before the gate, signed and published.
//!
//! ```text
//! universe, feeds ──plan──▶ keys that are dirty ──risk──▶ one image after the other ──actions, gate──▶ published
//!                              └──────────────────── State (SQLite) ────────────────────┘
//! ```
//!
//! A run may be killed at any point. What it holds of each image is a key that is dirty until the image is published *and*
//! that is written down; each step before is found again, or done again with the same outcome.

mod action;
mod commit;
mod git;
mod history;
mod local;
mod overview;
mod plan;
mod report;
mod risk;
mod run;
mod single;
mod state;

pub use action::{Action, Executor, Outcome};
pub use commit::Committed;
pub use git::GitTarget;
pub use history::{Published, Summary, TimeToFix};
pub use local::LocalExecutor;
pub use overview::{DayTimes, Overview, Publication, Stopped, sentence};
pub use report::{Ended, Fixed, Held, ImageReport, RunReport};
pub use risk::{Class, Risk};
pub use run::{Refresh, RunRequest, second_store};
pub use single::Single;
pub use state::{Dirty, State};

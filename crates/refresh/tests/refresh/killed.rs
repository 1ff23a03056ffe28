//! The process of a run is killed.

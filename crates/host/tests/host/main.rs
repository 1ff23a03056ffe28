//! The program as it is run: on directories that stand for a root file system and a boot partition.

mod fixture;

mod binary;
mod disk_full;
mod faults;
mod image;
mod lifecycle;
mod registry;
mod sealed;
mod trust;

//! Packages made by code, hostile and sound, through the store to trees.

mod assembling;
mod deb;
mod hostile;
mod network;
mod rpm;
mod unpacking;

//! Stage 5 from a tree to the bytes of an image and back.

mod docker;
mod hostile;
mod layers;
mod outputs;
mod sample;
mod shared;
mod tools;

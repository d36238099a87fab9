//! The add-on that Node loads: converts arguments, calls the crates below, converts results. No logic of its own.

#![allow(clippy::needless_pass_by_value, reason = "napi hands over owned strings and vectors")]

mod arrow;
mod completions;
mod dataset;
mod dataset_writer;
mod digest;
mod errors;
mod external;
mod facts;
mod file_system;
mod lookup;
mod mapped;
mod memory;
mod object_writer;
mod pt;
mod safetensors;
mod scan;
mod store;
mod task;
mod tensor;
mod value;
mod vectors;

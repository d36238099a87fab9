//! The add-on that Node loads: converts arguments, calls the crates below, converts results. No logic of its own.

mod completions;
mod errors;
mod facts;
mod object_writer;
mod scan;
mod store;
mod task;
mod tensor;
mod value;

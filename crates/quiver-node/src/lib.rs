//! The add-on that Node loads: converts arguments, calls the crates below, converts results. No logic of its own.

mod errors;
mod tensor;

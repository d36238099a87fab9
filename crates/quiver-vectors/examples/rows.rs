//! The plain loop that gathers are compared with: copies rows of a mapped file, for the numbers on each line of
//! standard input, and prints nanoseconds and the sum of what it copied.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, missing_docs)]

use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead, stdin};
use std::time::Instant;

use quiver_io::Mapping;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [start, length, row] = [2, 3, 4].map(|at| arguments[at].parse::<usize>().unwrap());
    let map = Mapping::open(&File::open(&arguments[1]).unwrap()).unwrap();
    let values = &map.as_slice()[start..start + length];
    // Every page is there before the first is timed.
    black_box(values.iter().step_by(64).fold(0_u8, |sum, byte| sum ^ byte));
    let mut out = Vec::new();
    for line in stdin().lock().lines() {
        let rows: Vec<usize> = line.unwrap().split(',').map(|number| number.parse().unwrap()).collect();
        out.resize(rows.len() * row, 0);
        let began = Instant::now();
        for (slot, index) in out.chunks_exact_mut(row).zip(&rows) {
            slot.copy_from_slice(&values[index * row..(index + 1) * row]);
        }
        let taken = began.elapsed().as_nanos();
        let (numbers, _) = black_box(&out).as_chunks::<4>();
        let sum: f64 = numbers.iter().map(|&number| f64::from(f32::from_le_bytes(number))).sum();
        println!("{taken} {sum}");
    }
}

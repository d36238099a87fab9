//! The plain loops that gathers and searches are compared with, over a mapped file: for the numbers on a line of
//! standard input copies those rows, for the line "all" reads all rows with as many threads as there are processors.
//! Prints nanoseconds and the sum of what was copied, or nanoseconds and 0.
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
        let line = line.unwrap();
        if line == "all" {
            let began = Instant::now();
            read(values);
            println!("{} 0", began.elapsed().as_nanos());
            continue;
        }
        let rows: Vec<usize> = line.split(',').map(|number| number.parse().unwrap()).collect();
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

/// Reads all numbers, and does as little with them as the compiler can't leave out.
fn read(values: &[u8]) {
    let (numbers, _) = values.as_chunks::<4>();
    let threads = std::thread::available_parallelism().unwrap().get();
    std::thread::scope(|scope| {
        for part in numbers.chunks(numbers.len().div_ceil(threads)) {
            scope.spawn(move || {
                let mut lanes = [0_u32; 64];
                for numbers in part.as_chunks::<64>().0 {
                    for (lane, number) in lanes.iter_mut().zip(numbers) {
                        *lane ^= u32::from_le_bytes(*number);
                    }
                }
                black_box(lanes)
            });
        }
    });
}

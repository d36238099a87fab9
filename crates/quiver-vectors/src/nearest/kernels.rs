//! The inner loops, compiled once for any processor and once for those with wide registers.
//!
//! The loops are plain Rust that the compiler turns into vector instructions; what differs is which it may use.
#![allow(unsafe_code)]

use half::f16;

/// Sums that are kept apart, so that additions don't wait for each other.
const LANES: usize = 32;

/// Which instructions may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernels {
    /// What every processor has.
    Plain,
    /// AVX2, fused multiply-add and half-precision conversion; made only where they were found.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
}

/// Stands for the instructions having been found.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Avx2(());

/// One method a loop: the same body for either set of instructions.
macro_rules! kernel {
    ($(#[$about:meta])* $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?, $plain:expr, $wide:expr) => {
        $(#[$about])*
        #[inline]
        pub fn $name(self, $($argument: $type),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            fn wide($($argument: $type),*) $(-> $result)? {
                $wide($($argument),*)
            }
            match self {
                Self::Plain => $plain($($argument),*),
                // SAFETY: `Avx2` is made only after the processor was found to have what `wide` is compiled for.
                #[cfg(target_arch = "x86_64")]
                Self::Avx2(_) => unsafe { wide($($argument),*) },
            }
        }
    };
}

impl Kernels {
    /// The best there is.
    pub fn of_this_processor() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c")
        {
            return Self::Avx2(Avx2(()));
        }
        Self::Plain
    }

    kernel!(
        /// The dot product.
        dot(left: &[f32], right: &[f32]) -> f32,
        |left, right| sum(left, right, |sum, left, right| sum + left * right),
        |left, right| sum(left, right, |sum, left, right| left.mul_add(right, sum))
    );

    kernel!(
        /// The square of the Euclidean distance.
        square_distance(left: &[f32], right: &[f32]) -> f32,
        |left, right| sum(left, right, |sum, left: f32, right: f32| sum + (left - right) * (left - right)),
        |left, right| sum(left, right, |sum, left: f32, right: f32| (left - right).mul_add(left - right, sum))
    );

    kernel!(
        /// Half precision as single.
        decode_float16(row: &[u16], out: &mut [f32]), widen, widen
    );

    kernel!(
        /// Quantised numbers as what they stand for.
        decode_int8(row: &[i8], scale: f32, zero_point: i8, out: &mut [f32]), dequantise, dequantise
    );
}

/// Adds `step` over all pairs in lanes, then the lanes in halves.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled with the instructions of the function it becomes part of")]
fn sum(left: &[f32], right: &[f32], step: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (lefts, left_rest) = left.as_chunks::<LANES>();
    let (rights, right_rest) = right.as_chunks::<LANES>();
    for (left, right) in lefts.iter().zip(rights) {
        for ((lane, &left), &right) in lanes.iter_mut().zip(left).zip(right) {
            *lane = step(*lane, left, right);
        }
    }
    for ((lane, &left), &right) in lanes.iter_mut().zip(left_rest).zip(right_rest) {
        *lane = step(*lane, left, right);
    }
    let mut width = LANES / 2;
    while width > 0 {
        let (low, high) = lanes.split_at_mut(width);
        for (low, high) in low.iter_mut().zip(high) {
            *low += *high;
        }
        width /= 2;
    }
    let [sum, ..] = lanes;
    sum
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "as above")]
fn widen(row: &[u16], out: &mut [f32]) {
    for (out, &bits) in out.iter_mut().zip(row) {
        *out = f16::from_bits(bits).to_f32();
    }
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "as above")]
fn dequantise(row: &[i8], scale: f32, zero_point: i8, out: &mut [f32]) {
    for (out, &value) in out.iter_mut().zip(row) {
        *out = (f32::from(value) - f32::from(zero_point)) * scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_compilations_agree() {
        let wide = Kernels::of_this_processor();
        for length in [0, 1, 31, 32, 33, 384, 1_000] {
            let left: Vec<f32> = (0..length).map(|i| (i % 17) as f32 - 8.0).collect();
            let right: Vec<f32> = (0..length).map(|i| (i % 23) as f32 / 4.0).collect();
            // Whole quarters: no step rounds, so that fusing two makes no difference.
            assert!((wide.dot(&left, &right) - Kernels::Plain.dot(&left, &right)).abs() < f32::EPSILON);
            let distances = [wide, Kernels::Plain].map(|kernels| kernels.square_distance(&left, &right));
            assert!((distances[0] - distances[1]).abs() < f32::EPSILON);
        }
    }

    #[test]
    fn every_half_is_widened_as_it_should() {
        let bits: Vec<u16> = (0..=u16::MAX).collect();
        for kernels in [Kernels::of_this_processor(), Kernels::Plain] {
            let mut out = vec![0.0; bits.len()];
            kernels.decode_float16(&bits, &mut out);
            for (&bits, &out) in bits.iter().zip(&out) {
                let expected = f16::from_bits(bits).to_f32_const();
                assert!(expected.to_bits() == out.to_bits() || expected.is_nan() && out.is_nan());
            }
        }
    }
}

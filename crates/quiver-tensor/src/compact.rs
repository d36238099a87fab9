//! Strided elements copied into row-major order.

use crate::error::{Error, Result};
use crate::layout::{element_count, extent};

/// Side of the square block that is transposed at a time: both its rows and its columns stay in the first cache.
const BLOCK: usize = 32;

/// Copies a strided tensor into `out` row by row, without gaps. Strides count elements of `item_size` bytes (1, 2,
/// 4, 8 or 16) and start at the first byte of `source`.
///
/// `BadValue` when shape and strides differ in length, reach beyond `source`, or don't fill `out` exactly.
pub fn compact(
    source: &[u8],
    item_size: usize,
    shape: &[u64],
    strides: &[u64],
    out: &mut [u8],
) -> Result<()> {
    if shape.len() != strides.len() {
        return Err(Error::bad_value("shape and strides differ in length"));
    }
    let within =
        extent(shape, strides)?.checked_mul(item_size as u64).is_some_and(|n| n <= source.len() as u64);
    if !within {
        return Err(Error::bad_value("the strides reach beyond the source").with("bytes", source.len()));
    }
    let count = element_count(shape)?;
    if count.checked_mul(item_size as u64) != Some(out.len() as u64) {
        return Err(Error::bad_value("out must hold every element exactly").with("bytes", out.len()));
    }
    if count == 0 {
        return Ok(());
    }
    let plan = Plan::new(shape, strides);
    match item_size {
        1 => plan.run::<1>(source, out),
        2 => plan.run::<2>(source, out),
        4 => plan.run::<4>(source, out),
        8 => plan.run::<8>(source, out),
        16 => plan.run::<16>(source, out),
        _ => return Err(Error::bad_value("no element has this size").with("bytes", item_size)),
    }
    Ok(())
}

/// One axis of the copy: how many steps, and how far each goes in both arrays, in elements.
#[derive(Clone, Copy)]
struct Axis {
    size: usize,
    from: usize,
    to: usize,
}

/// A copy as a loop over the outer axes around a block-wise copy of two: the one that is dense in the result and
/// the one that is densest in the source.
struct Plan {
    outer: Vec<Axis>,
    source_dense: Axis,
    result_dense: Axis,
}

impl Plan {
    /// Shape and strides must have been checked against the arrays, and no size be 0.
    fn new(shape: &[u64], strides: &[u64]) -> Self {
        let mut axes = Vec::with_capacity(shape.len());
        let mut to = 1;
        for (&size, &stride) in shape.iter().zip(strides).rev() {
            if size > 1 {
                axes.push(Axis { size: size as usize, from: stride as usize, to });
            }
            to *= size as usize;
        }
        let single = Axis { size: 1, from: 0, to: 0 };
        let result_dense = if axes.is_empty() { single } else { axes.remove(0) };
        let densest = (0..axes.len()).min_by_key(|&i| axes[i].from);
        let source_dense = match densest {
            Some(i) if axes[i].from < result_dense.from => axes.remove(i),
            _ => single,
        };
        Self { outer: axes, source_dense, result_dense }
    }

    fn run<const N: usize>(&self, source: &[u8], out: &mut [u8]) {
        let (source, _) = source.as_chunks::<N>();
        let (out, _) = out.as_chunks_mut::<N>();
        let mut position = vec![0; self.outer.len()];
        loop {
            let from = position.iter().zip(&self.outer).map(|(i, axis)| i * axis.from).sum();
            let to = position.iter().zip(&self.outer).map(|(i, axis)| i * axis.to).sum();
            self.copy_plane(source, from, out, to);
            if !advance(&mut position, &self.outer) {
                return;
            }
        }
    }

    fn copy_plane<T: Copy>(&self, source: &[T], from: usize, out: &mut [T], to: usize) {
        let (a, b) = (self.source_dense, self.result_dense);
        if a.size == 1 && b.from == 1 {
            out[to..to + b.size].copy_from_slice(&source[from..from + b.size]);
            return;
        }
        for a_start in (0..a.size).step_by(BLOCK) {
            for b_start in (0..b.size).step_by(BLOCK) {
                for i in a_start..a.size.min(a_start + BLOCK) {
                    for j in b_start..b.size.min(b_start + BLOCK) {
                        out[to + i * a.to + j * b.to] = source[from + i * a.from + j * b.from];
                    }
                }
            }
        }
    }
}

/// Steps to the next position, first of `axes` fastest; false after the last one.
fn advance(position: &mut [usize], axes: &[Axis]) -> bool {
    for (i, axis) in position.iter_mut().zip(axes) {
        *i += 1;
        if *i < axis.size {
            return true;
        }
        *i = 0;
    }
    false
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(source: &[u16], shape: &[u64], strides: &[u64], at: u64, out: &mut Vec<u16>) {
        match shape {
            [] => out.push(source[at as usize]),
            [size, rest @ ..] => {
                for i in 0..*size {
                    naive(source, rest, &strides[1..], at + i * strides[0], out);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn equals_nested_loops(axes in prop::collection::vec((0_u64..40, 0_u64..50), 0..4)) {
            let (shape, strides): (Vec<u64>, Vec<u64>) = axes.into_iter().unzip();
            let source: Vec<u16> = (0..extent(&shape, &strides).unwrap()).map(|i| i as u16).collect();
            let bytes: Vec<u8> = source.iter().flat_map(|value| value.to_le_bytes()).collect();
            let mut expected = Vec::new();
            naive(&source, &shape, &strides, 0, &mut expected);
            let mut out = vec![0; expected.len() * 2];
            compact(&bytes, 2, &shape, &strides, &mut out).unwrap();
            let values: Vec<u16> = out.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
            prop_assert_eq!(values, expected);
        }

        #[test]
        fn never_panics(
            source in prop::collection::vec(any::<u8>(), 0..64), item_size in 0_usize..20,
            shape in prop::collection::vec(any::<u64>(), 0..4), strides in prop::collection::vec(any::<u64>(), 0..4),
            out in 0_usize..64,
        ) {
            let _ = compact(&source, item_size, &shape, &strides, &mut vec![0; out]);
        }
    }
}

//! Vectors that can't be compared with others.

/// Numbers looked at together, without a branch for each.
const BLOCK: usize = 1024;

/// Where the first number that is infinite or none lies.
pub fn first_non_finite(values: &[f32]) -> Option<usize> {
    let is_odd = |value: &f32| !value.is_finite();
    let odd =
        values.chunks(BLOCK).position(|block| block.iter().fold(false, |odd, value| odd | is_odd(value)))?;
    let block = values.get(odd * BLOCK..)?;
    Some(odd * BLOCK + block.iter().position(is_odd)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_is_found_wherever_it_is() {
        assert_eq!(first_non_finite(&[]), None);
        let mut values = vec![f32::MAX; 3 * BLOCK + 5];
        assert_eq!(first_non_finite(&values), None);
        for (at, odd) in [(3 * BLOCK + 4, f32::NAN), (BLOCK, f32::NEG_INFINITY), (BLOCK - 1, f32::INFINITY)] {
            values[at] = odd;
            assert_eq!(first_non_finite(&values), Some(at));
        }
    }
}

//! 8-bit floats by their parameters, as the OCP 8-bit floating point specification and its relatives define them.

/// One of the formats.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Float8 {
    signed: bool,
    fraction_bits: u32,
    bias: i32,
    special: Special,
}

/// Which patterns are no finite numbers.
#[derive(Debug, Clone, Copy)]
enum Special {
    /// The largest exponent, as in IEEE 754: infinity without a fraction, NaN with one.
    Ieee,
    /// All ones behind the sign.
    AllOnes,
    /// What would be the negative zero.
    NegativeZero,
}

impl Float8 {
    pub(crate) const E4M3FN: Self = Self::new(true, 3, 7, Special::AllOnes);
    pub(crate) const E4M3FNUZ: Self = Self::new(true, 3, 8, Special::NegativeZero);
    pub(crate) const E5M2: Self = Self::new(true, 2, 15, Special::Ieee);
    pub(crate) const E5M2FNUZ: Self = Self::new(true, 2, 16, Special::NegativeZero);
    pub(crate) const E8M0FNU: Self = Self::new(false, 0, 127, Special::AllOnes);

    const fn new(signed: bool, fraction_bits: u32, bias: i32, special: Special) -> Self {
        Self { signed, fraction_bits, bias, special }
    }

    /// The value of a bit pattern, exactly.
    pub(crate) fn value(self, bits: u8) -> f64 {
        let negative = self.signed && bits >= 0x80;
        let (sign, magnitude) = if negative { (-1.0, bits & 0x7f) } else { (1.0, bits) };
        let largest = if self.signed { 0x7f } else { 0xff };
        let exponent = i32::from(magnitude >> self.fraction_bits);
        let fraction = f64::from(magnitude & ((1 << self.fraction_bits) - 1));
        match self.special {
            Special::AllOnes if magnitude == largest => return f64::NAN,
            Special::NegativeZero if bits == 0x80 => return f64::NAN,
            Special::Ieee if exponent == i32::from(largest >> self.fraction_bits) => {
                return if fraction > 0.0 { f64::NAN } else { sign * f64::INFINITY };
            }
            _ => {}
        }
        let scale = 2_f64.powi(-(self.fraction_bits as i32));
        // Without a sign there is no zero either, and so nothing below the normal numbers.
        if exponent == 0 && self.signed {
            sign * fraction * scale * 2_f64.powi(1 - self.bias)
        } else {
            sign * (1.0 + fraction * scale) * 2_f64.powi(exponent - self.bias)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::float_cmp, reason = "the values are exact")]
    fn landmarks_of_each_format() {
        for (format, largest, pattern, smallest) in [
            (Float8::E4M3FN, 448.0, 0x7e, 2_f64.powi(-9)),
            (Float8::E4M3FNUZ, 240.0, 0x7f, 2_f64.powi(-10)),
            (Float8::E5M2, 57_344.0, 0x7b, 2_f64.powi(-16)),
            (Float8::E5M2FNUZ, 57_344.0, 0x7f, 2_f64.powi(-17)),
        ] {
            assert_eq!(format.value(pattern), largest, "{format:?}");
            assert_eq!(format.value(pattern | 0x80), -largest, "{format:?}");
            assert_eq!(format.value(1), smallest, "{format:?}");
            assert_eq!(format.value(0), 0.0, "{format:?}");
        }
        assert_eq!(Float8::E5M2.value(0xfc), f64::NEG_INFINITY);
        assert!(Float8::E5M2.value(0x7f).is_nan() && Float8::E4M3FN.value(0xff).is_nan());
        assert!(Float8::E4M3FNUZ.value(0x80).is_nan() && Float8::E5M2FNUZ.value(0x80).is_nan());
        assert_eq!((Float8::E8M0FNU.value(0), Float8::E8M0FNU.value(127)), (2_f64.powi(-127), 1.0));
        assert!(Float8::E8M0FNU.value(255).is_nan());
    }
}

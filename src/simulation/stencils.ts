/** Finite-difference stencils of the Laplacian. */

import { Tensor } from "../tensor/tensor.ts";
import { checkChoice, checkPositive } from "./arguments.ts";

/** Order of accuracy: the error falls with this power of the grid distance. */
export type StencilOrder = 2 | 4 | 6;

/** Axes of the grid. */
export type Dimensions = 2 | 3;

/** Second derivative in one dimension at distance 1: weights of the centre and of the neighbours 1, 2, 3 away. */
const SECOND_DERIVATIVE: Readonly<Record<StencilOrder, readonly number[]>> = {
  2: [-2, 1],
  4: [-5 / 2, 4 / 3, -1 / 12],
  6: [-49 / 18, 3 / 2, -3 / 20, 1 / 90],
};

/** A weight and where it applies, relative to the centre, one number an axis. */
export interface StencilPoint {
  readonly offset: readonly number[];
  readonly weight: number;
}

/**
 * The points of the Laplacian's star stencil with weights other than zero, in the row-major order of their
 * offsets: per axis the central difference of the second derivative. Throws ERR_QUIVER_BAD_VALUE for other numbers
 * of axes, other orders and a distance not above 0.
 */
export function stencilPoints(dimensions: Dimensions, order: StencilOrder, h = 1): readonly StencilPoint[] {
  checkChoice("dimensions", dimensions, [2, 3]);
  checkChoice("order", order, [2, 4, 6]);
  checkPositive("h", h);
  const [centre, ...neighbours] = SECOND_DERIVATIVE[order] as [number, ...number[]];
  const scale = 1 / (h * h);
  const arm = (axis: number, distance: number, weight: number): StencilPoint => ({
    offset: Array.from({ length: dimensions }, (_, i) => (i === axis ? distance : 0)),
    weight: weight * scale,
  });
  // Row-major order: far to near before the centre, the first axis outermost, and mirrored behind it.
  const before: StencilPoint[] = [];
  for (let axis = 0; axis < dimensions; axis++) {
    for (let distance = neighbours.length; distance >= 1; distance--) {
      before.push(arm(axis, -distance, neighbours[distance - 1] as number));
    }
  }
  const after = before
    .map(({ offset, weight }) => ({ offset: offset.map((step) => (step === 0 ? 0 : -step)), weight }))
    .reverse();
  return [
    ...before,
    { offset: new Array(dimensions).fill(0), weight: dimensions * centre * scale },
    ...after,
  ];
}

/**
 * The same as an array to convolve with: float64 of shape [order + 1, …], one axis a dimension, mostly zeros.
 * Exact for polynomials up to degree order + 1 in each variable.
 */
export function laplacianStencil(dimensions: Dimensions, order: StencilOrder, h = 1): Tensor<Float64Array> {
  const points = stencilPoints(dimensions, order, h);
  const width = order + 1;
  const values = new Float64Array(width ** dimensions);
  for (const { offset, weight } of points) {
    values[offset.reduce((position, step) => position * width + step + order / 2, 0)] = weight;
  }
  return new Tensor(values, new Array(dimensions).fill(width));
}

/** Maps of radial sources on regular grids. */

import { badArgument, checkObject } from "../shared/arguments.ts";
import { checkOptions, type OptionNames } from "../shared/options.ts";
import { Tensor } from "../tensor/tensor.ts";
import { checkChoice, checkCount, checkFinite, checkPositive } from "./arguments.ts";
import type { Dimensions } from "./stencils.ts";

/** How the strength falls off with the distance r from the centre; lengths in units of the box. */
export type SourceProfile =
  /** exp(-r² / 2 width²) */
  | { readonly kind: "gaussian"; readonly width: number }
  /** exp(-(r - radius)² / 2 width²) */
  | { readonly kind: "shell"; readonly radius: number; readonly width: number }
  /** H. C. Plummer's sphere of 1911, (1 + r² / scale²)^-5/2; in two dimensions its projection, with the power -2. */
  | { readonly kind: "plummer"; readonly scale: number };

/** Precision of a map's values. */
export type SourceDType = "float32" | "float64";

/** Where a source is and how wide, on which grid. */
export interface SourceMapOptions<D extends SourceDType = "float64"> {
  readonly dimensions: Dimensions;
  /** Cells along each axis of the box, whose edges have the length 1. */
  readonly n: number;
  /** Middle of the source, one number an axis, the box reaching from -0.5 to 0.5. Default: the box's. */
  readonly center?: readonly number[];
  /** Default: "float64". */
  readonly dtype?: D;
}

const OPTIONS: OptionNames<SourceMapOptions> = { dimensions: true, n: true, center: true, dtype: true };

/** Nodes of Gauss-Legendre quadrature with two points, in cells from a cell's middle; their weights are equal. */
const NODES = [-1 / Math.sqrt(12), 1 / Math.sqrt(12)] as const;

/**
 * What each cell of the grid holds of the source, n cells an axis, integrated over the cell with two points an axis
 * (exact for cubic polynomials), and scaled so that all cells sum up to 1. Costs four (in three dimensions eight)
 * evaluations a cell, blocking: about 2 s for 256 x 256 x 256. Throws ERR_QUIVER_BAD_VALUE for lengths not above 0
 * and for a source so narrow or so far away that the grid sees nothing of it.
 */
export function sourceMap<D extends SourceDType = "float64">(
  profile: SourceProfile,
  options: SourceMapOptions<D>,
): Tensor<D extends "float32" ? Float32Array : Float64Array> {
  checkObject("profile", profile);
  checkOptions(options, OPTIONS);
  const { dimensions, n, dtype = "float64" } = options;
  checkChoice("dimensions", dimensions, [2, 3]);
  const center = options.center ?? new Array<number>(dimensions).fill(0);
  checkCount("n", n, 1);
  checkChoice("dtype", dtype, ["float32", "float64"]);
  if (!Array.isArray(center)) throw badArgument("center", center, "a list of coordinates");
  checkChoice("the number of coordinates of the center", center.length, [dimensions]);
  for (const coordinate of center) checkFinite("center", coordinate);
  const density = densityOf(profile, dimensions);
  const [first, second, third] = center.map((coordinate) => squaredDistances(n, coordinate));
  const values = new Float64Array(n ** dimensions);
  // Two dimensions are one layer of cells with one node at no distance.
  const total = integrate(
    density,
    third === undefined
      ? [Float64Array.of(0), first as Float64Array, second as Float64Array]
      : [first as Float64Array, second as Float64Array, third],
    third === undefined ? 1 : 2,
    values,
  );
  checkPositive("the strength of the source on the grid", total);
  const scaled = dtype === "float32" ? new Float32Array(values.length) : values;
  for (let cell = 0; cell < values.length; cell++) scaled[cell] = (values[cell] as number) / total;
  type Scaled = D extends "float32" ? Float32Array : Float64Array;
  return new Tensor(scaled as Scaled, new Array<number>(dimensions).fill(n));
}

/**
 * Fills `values` with the sum of `density` over the nodes of each cell. `axes` hold the squared distance of every
 * node along their axis; the first has `outerNodes` a cell, the others two. Returns the sum over all cells.
 */
function integrate(
  density: (squaredRadius: number) => number,
  axes: readonly [Float64Array, Float64Array, Float64Array],
  outerNodes: number,
  values: Float64Array,
): number {
  const [outer, middle, inner] = axes;
  const row = inner.length / 2;
  const layer = row * (middle.length / 2);
  let total = 0;
  for (let x = 0; x < outer.length; x++) {
    for (let y = 0; y < middle.length; y++) {
      const base = (outer[x] as number) + (middle[y] as number);
      const start = Math.floor(x / outerNodes) * layer + (y >> 1) * row;
      for (let cell = 0; cell < row; cell++) {
        const sum =
          density(base + (inner[2 * cell] as number)) + density(base + (inner[2 * cell + 1] as number));
        values[start + cell] = (values[start + cell] as number) + sum;
        total += sum;
      }
    }
  }
  return total;
}

/** (x - center)² at both nodes of each of the n cells between -0.5 and 0.5. */
function squaredDistances(n: number, center: number): Float64Array {
  return Float64Array.from({ length: 2 * n }, (_, node) => {
    const x = ((node >> 1) + 0.5 + NODES[node & 1 ? 1 : 0]) / n - 0.5;
    return (x - center) ** 2;
  });
}

/** Strength, up to a factor, as a function of the squared distance. */
function densityOf(profile: SourceProfile, dimensions: Dimensions): (squaredRadius: number) => number {
  checkChoice("the kind of source", profile.kind, ["gaussian", "shell", "plummer"]);
  if (profile.kind === "plummer") {
    checkPositive("scale", profile.scale);
    const factor = profile.scale ** -2;
    if (dimensions === 2) return (squared) => 1 / (1 + squared * factor) ** 2;
    return (squared) => {
      const base = 1 + squared * factor;
      return 1 / (base * base * Math.sqrt(base));
    };
  }
  checkPositive("width", profile.width);
  const factor = -1 / (2 * profile.width ** 2);
  if (profile.kind === "gaussian") return (squared) => Math.exp(squared * factor);
  const { radius } = profile;
  checkPositive("radius", radius);
  return (squared) => Math.exp((Math.sqrt(squared) - radius) ** 2 * factor);
}

/** Kernels, stencils, operators and source maps against closed forms. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Dimensions,
  grunwaldLetnikov,
  laplacianOperator,
  laplacianStencil,
  type SourceProfile,
  type SparseMatrix,
  type StencilOrder,
  sourceMap,
  stencilPoints,
} from "../../src/simulation/index.ts";

/** Lanczos approximation of the gamma function, g = 7, nine terms; relative error below 1e-13 for the arguments here. */
function gamma(x: number): number {
  if (x < 0.5) return Math.PI / (Math.sin(Math.PI * x) * gamma(1 - x));
  const terms = [
    0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
    12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
  ];
  const t = x + 6.5;
  const sum = terms.reduce((total, term, i) => total + (i === 0 ? term : term / (x - 1 + i)));
  return Math.sqrt(2 * Math.PI) * t ** (x - 0.5) * Math.exp(-t) * sum;
}

/** Error function by its series, good for |x| up to 4. */
function erf(x: number): number {
  let term = x;
  let sum = x;
  for (let k = 1; k < 120; k++) {
    term *= (-x * x) / k;
    sum += term / (2 * k + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

const orders: readonly StencilOrder[] = [2, 4, 6];
const bothDimensions: readonly Dimensions[] = [2, 3];

describe("Grünwald-Letnikov coefficients", () => {
  test.each([-1.5, -0.5, 0.25, 0.5, 1.5, 2.7])(
    "are signed binomials by the gamma function, alpha %d",
    (alpha) => {
      const { data } = grunwaldLetnikov(alpha, 1, 60);
      for (let k = 0; k < 60; k++) {
        const expected = gamma(k - alpha) / (gamma(-alpha) * gamma(k + 1));
        expect(data[k]).toBeCloseTo(expected, 11);
        expect(Math.abs((data[k] as number) / expected - 1)).toBeLessThan(1e-10);
      }
    },
  );

  test("are the finite differences for whole orders, and the rectangle rule for minus one", () => {
    expect([...grunwaldLetnikov(0, 1, 4).data].map((x) => x + 0)).toEqual([1, 0, 0, 0]);
    expect([...grunwaldLetnikov(1, 0.5, 4).data].map((x) => x + 0)).toEqual([2, -2, 0, 0]);
    expect([...grunwaldLetnikov(2, 1, 5).data].map((x) => x + 0)).toEqual([1, -2, 1, 0, 0]);
    expect([...grunwaldLetnikov(3, 1, 5).data].map((x) => x + 0)).toEqual([1, -3, 3, -1, 0]);
    expect([...grunwaldLetnikov(-1, 0.25, 3).data]).toEqual([0.25, 0.25, 0.25]);
  });

  test("generate (1 - z)^alpha, and their sums are those of alpha - 1", () => {
    fc.assert(
      fc.property(
        fc.double({ min: -2, max: 3, noNaN: true }),
        fc.double({ min: -0.8, max: 0.8, noNaN: true }),
        (alpha, z) => {
          const { data } = grunwaldLetnikov(alpha, 1, 400);
          const series = data.reduceRight((sum, coefficient) => sum * z + coefficient, 0);
          expect(Math.abs(series / (1 - z) ** alpha - 1)).toBeLessThan(1e-10);
          const sums = grunwaldLetnikov(alpha - 1, 1, 50).data;
          let sum = 0;
          for (let k = 0; k < 50; k++) {
            sum += data[k] as number;
            expect(Math.abs(sum - (sums[k] as number))).toBeLessThan(1e-11 * Math.max(1, Math.abs(sum)));
          }
        },
      ),
    );
  });

  test("decay as k^(-alpha-1) / gamma(-alpha), to the millionth", () => {
    for (const alpha of [-0.5, 0.5, 1.5]) {
      const count = 1_000_000;
      const { data, shape } = grunwaldLetnikov(alpha, 1, count);
      expect(shape).toEqual([count]);
      const k = count - 1;
      // The second term of the expansion for large k: 1 + alpha (alpha + 1) / 2k.
      const expected = (k ** (-alpha - 1) / gamma(-alpha)) * (1 + (alpha * (alpha + 1)) / (2 * k));
      expect(Math.abs((data[k] as number) / expected - 1)).toBeLessThan(1e-10);
    }
  });

  test("differentiate t to t^(1 - alpha) / gamma(2 - alpha), with an error of the first order in h", () => {
    const errorAt = (h: number, alpha: number): number => {
      const steps = Math.round(1 / h);
      const { data } = grunwaldLetnikov(alpha, h, steps + 1);
      const derivative = data.reduce((sum, coefficient, k) => sum + coefficient * (1 - k * h), 0);
      return Math.abs(derivative - 1 / gamma(2 - alpha));
    };
    for (const alpha of [0.25, 0.5, 1.5, -0.5]) {
      expect(errorAt(1 / 1024, alpha) / errorAt(1 / 2048, alpha)).toBeCloseTo(2, 1);
    }
  });

  test("refuse what has no meaning", () => {
    for (const [alpha, h, count] of [
      [Number.NaN, 1, 3],
      [0.5, 0, 3],
      [0.5, -1, 3],
      [0.5, 1, 0],
      [0.5, 1, 2.5],
    ] as const) {
      expect(() => grunwaldLetnikov(alpha, h, count)).toThrow(
        expect.objectContaining({ code: "ERR_QUIVER_BAD_VALUE" }),
      );
    }
  });
});

describe.each(bothDimensions)("the Laplacian's stencil in %d dimensions", (dimensions) => {
  const apply = (
    order: StencilOrder,
    h: number,
    f: (point: readonly number[]) => number,
    at: readonly number[],
  ): number =>
    stencilPoints(dimensions, order, h).reduce(
      (sum, { offset, weight }) => sum + weight * f(at.map((x, axis) => x + (offset[axis] as number) * h)),
      0,
    );
  const at = [0.3, -0.7, 0.45].slice(0, dimensions);

  test.each(orders)("differentiates polynomials up to its degree exactly, order %d", (order) => {
    for (let power = 0; power <= order + 1; power++) {
      const mixed = (x: readonly number[]): number =>
        x.reduce((sum, xi, axis) => sum + (axis + 1) * xi ** power, 0) * 1;
      const expected = at.reduce(
        (sum, xi, axis) => sum + (power < 2 ? 0 : (axis + 1) * power * (power - 1) * xi ** (power - 2)),
        0,
      );
      expect(apply(order, 0.5, mixed, at)).toBeCloseTo(expected, 9);
    }
    const beyond = (x: readonly number[]): number => (x[0] as number) ** (order + 2);
    const derivative = (order + 2) * (order + 1) * 0.3 ** order;
    expect(Math.abs(apply(order, 0.5, beyond, at) - derivative)).toBeGreaterThan(1e-4);
    const product = (x: readonly number[]): number => x.reduce((value, xi) => value * xi, 1);
    expect(apply(order, 0.5, product, at)).toBeCloseTo(0, 10);
  });

  test.each(orders)("converges on an eigenfunction with its order, %d", (order) => {
    const wave = (x: readonly number[]): number =>
      x.reduce((value, xi, axis) => value * Math.sin((axis + 1.5) * xi), 1);
    const eigenvalue = -at.reduce((sum, _, axis) => sum + (axis + 1.5) ** 2, 0);
    const error = (h: number): number => Math.abs(apply(order, h, wave, at) - eigenvalue * wave(at));
    expect(Math.log2(error(0.1) / error(0.05))).toBeCloseTo(order, 0);
    expect(Math.log2(error(0.1) / error(0.05))).toBeGreaterThan(order - 0.1);
  });

  test.each(orders)("as an array has the same weights around its middle, order %d", (order) => {
    const stencil = laplacianStencil(dimensions, order, 0.25);
    expect(stencil.shape).toEqual(new Array(dimensions).fill(order + 1));
    const points = stencilPoints(dimensions, order, 0.25);
    for (const { offset, weight } of points) {
      expect(stencil.at(...offset.map((step) => step + order / 2))).toBe(weight);
    }
    expect(stencil.data.filter((weight) => weight !== 0)).toHaveLength(points.length);
    expect(points).toHaveLength(dimensions * order + 1);
  });
});

describe.each(bothDimensions)("the Laplacian on a grid of %d dimensions", (dimensions) => {
  /** The same matrix, slowly: each pair of grid points compared. */
  const dense = (n: number, order: StencilOrder, h: number): number[][] => {
    const coordinates = (i: number): number[] =>
      Array.from({ length: dimensions }, (_, axis) => Math.floor(i / n ** (dimensions - 1 - axis)) % n);
    return Array.from({ length: n ** dimensions }, (_, row) =>
      Array.from({ length: n ** dimensions }, (_, column) => {
        const [from, to] = [coordinates(row), coordinates(column)];
        const point = stencilPoints(dimensions, order, h).find(({ offset }) =>
          offset.every((step, axis) => (to[axis] as number) - (from[axis] as number) === step),
        );
        return point?.weight ?? 0;
      }),
    );
  };

  const rowsOf = ({ indptr, indices, values }: SparseMatrix): { columns: number[]; weights: number[] }[] =>
    Array.from({ length: indptr.size - 1 }, (_, row) => {
      const [start, end] = [indptr.data[row], indptr.data[row + 1]];
      return { columns: [...indices.data.slice(start, end)], weights: [...values.data.slice(start, end)] };
    });

  test.each(orders)("is the stencil at every point, zero beyond the border, order %d", (order) => {
    for (const n of [1, 2, 3, dimensions === 2 ? 9 : 6]) {
      const matrix = laplacianOperator(dimensions, n, order, 0.5);
      const expected = dense(n, order, 0.5);
      expect(matrix.indptr.data[0]).toBe(0);
      expect(matrix.indptr.data.at(-1)).toBe(matrix.values.size);
      expect(matrix.indices.size).toBe(matrix.values.size);
      rowsOf(matrix).forEach(({ columns, weights }, row) => {
        expect(columns).toEqual([...columns].sort((left, right) => left - right));
        const filled = new Array(n ** dimensions).fill(0);
        columns.forEach((column, i) => {
          filled[column] = weights[i];
        });
        expect(filled).toEqual(expected[row]);
      });
    }
  });

  test("has the modes of the box as eigenvectors in the second order", () => {
    const n = 12;
    const h = 1 / (n + 1);
    const modes = [1, 3, 2].slice(0, dimensions);
    const vector = Array.from({ length: n ** dimensions }, (_, i) =>
      modes.reduce(
        (value, mode, axis) =>
          value * Math.sin(mode * Math.PI * h * ((Math.floor(i / n ** (dimensions - 1 - axis)) % n) + 1)),
        1,
      ),
    );
    const eigenvalue = modes.reduce(
      (sum, mode) => sum - (4 / h ** 2) * Math.sin((mode * Math.PI * h) / 2) ** 2,
      0,
    );
    rowsOf(laplacianOperator(dimensions, n, 2, h)).forEach(({ columns, weights }, row) => {
      const product = columns.reduce(
        (sum, column, i) => sum + (weights[i] as number) * (vector[column] as number),
        0,
      );
      expect(product).toBeCloseTo(eigenvalue * (vector[row] as number), 8);
    });
  });
});

test("operators that int32 can't count are refused before anything is allocated", () => {
  for (const [n, h] of [
    [2_000, 1],
    [0, 1],
    [1.5, 1],
    [4, 0],
  ] as const) {
    expect(() => laplacianOperator(3, n, 6, h)).toThrow(
      expect.objectContaining({ code: "ERR_QUIVER_BAD_VALUE" }),
    );
  }
  expect(() => laplacianOperator(4 as Dimensions, 2, 2)).toThrow(/dimensions must be 2 or 3/);
  expect(() => laplacianStencil(2, 3 as StencilOrder)).toThrow(/order must be 2 or 4 or 6/);
});

describe("source maps", () => {
  const profiles: readonly SourceProfile[] = [
    { kind: "gaussian", width: 0.1 },
    { kind: "shell", radius: 0.3, width: 0.05 },
    { kind: "plummer", scale: 0.1 },
  ];
  const cases = profiles.flatMap((profile) =>
    bothDimensions.map((dimensions) => [profile.kind, dimensions, profile] as const),
  );

  test.each(cases)("of a %s in %d dimensions sum up to 1 and are symmetric", (_, dimensions, profile) => {
    const n = 16;
    const map = sourceMap(profile, { dimensions, n });
    expect(map.shape).toEqual(new Array(dimensions).fill(n));
    expect(map.data.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 12);
    const index = [2, 7, 11].slice(0, dimensions);
    const value = map.at(...index) as number;
    expect(map.at(...index.map((i) => n - 1 - i))).toBeCloseTo(value, 15);
    expect(map.at(...[...index].reverse())).toBeCloseTo(value, 15);
    const single = sourceMap(profile, { dimensions, n, dtype: "float32" });
    expect(single.dtype).toBe("float32");
    expect(single.data.every((cell, i) => cell === Math.fround(map.data[i] as number))).toBe(true);
  });

  test.each(bothDimensions)(
    "of a Gaussian converge to products of error functions with the fourth order, off the middle too, in %d dimensions",
    (dimensions) => {
      const width = 0.15;
      const center = [0.1, -0.2, 0.05].slice(0, dimensions);
      const between = (from: number, to: number, middle: number): number =>
        erf((to - middle) / (width * Math.SQRT2)) - erf((from - middle) / (width * Math.SQRT2));
      const whole = center.reduce((product, middle) => product * between(-0.5, 0.5, middle), 1);
      /** Largest difference from the exact density. */
      const error = (n: number): number => {
        const map = sourceMap({ kind: "gaussian", width }, { dimensions, n, center });
        const along = center.map((middle) =>
          Array.from({ length: n }, (_, i) => between(i / n - 0.5, (i + 1) / n - 0.5, middle)),
        );
        return map.data.reduce((largest, value, cell) => {
          const exact = along.reduce((product, strengths, axis) => {
            return product * (strengths[Math.floor(cell / n ** (dimensions - 1 - axis)) % n] as number);
          }, 1 / whole);
          return Math.max(largest, Math.abs(value - exact) * n ** dimensions);
        }, 0);
      };
      expect(error(24)).toBeLessThan(0.01);
      expect(Math.log2(error(12) / error(24))).toBeGreaterThan(3.7);
    },
  );

  /** Sum of the cells whose middle is nearer to the box's than `radius`. */
  const within = (profile: SourceProfile, dimensions: Dimensions, n: number, radius: number): number => {
    const { data } = sourceMap(profile, { dimensions, n });
    return data.reduce((sum, value, i) => {
      let squared = 0;
      for (let axis = 0, rest = i; axis < dimensions; axis++, rest = Math.floor(rest / n)) {
        squared += (((rest % n) + 0.5) / n - 0.5) ** 2;
      }
      return squared < radius ** 2 ? sum + value : sum;
    }, 0);
  };

  test("of Plummer's sphere and disc enclose its mass", () => {
    const scale = 0.08;
    const profile = { kind: "plummer", scale } as const;
    const sphere = (r: number): number => r ** 3 / (r ** 2 + scale ** 2) ** 1.5;
    const disc = (r: number): number => r ** 2 / (r ** 2 + scale ** 2);
    for (const r of [0.1, 0.2, 0.3]) {
      expect(within(profile, 3, 80, r) / within(profile, 3, 80, 0.45)).toBeCloseTo(
        sphere(r) / sphere(0.45),
        2,
      );
      expect(within(profile, 2, 400, r) / within(profile, 2, 400, 0.45)).toBeCloseTo(disc(r) / disc(0.45), 2);
    }
  });

  test("of a thin shell lie on it", () => {
    const profile = { kind: "shell", radius: 0.3, width: 0.01 } as const;
    expect(within(profile, 2, 200, 0.26)).toBeLessThan(0.001);
    expect(within(profile, 2, 200, 0.34)).toBeGreaterThan(0.999);
    // In the plane, half of a Gaussian ring's strength lies outside of its radius, but for the little more circumference there.
    expect(within(profile, 2, 400, 0.3)).toBeCloseTo(0.5, 1);
  });

  test("refuse what the grid can't show", () => {
    const options = { dimensions: 2, n: 8 } as const;
    const refusals = [
      () => sourceMap({ kind: "gaussian", width: 0 }, options),
      () => sourceMap({ kind: "gaussian", width: 1e-6 }, options),
      () => sourceMap({ kind: "shell", radius: -1, width: 1 }, options),
      () => sourceMap({ kind: "plummer", scale: Number.NaN }, options),
      () => sourceMap({ kind: "plummer", scale: 1 }, { ...options, center: [0, 0, 0] }),
      () => sourceMap({ kind: "plummer", scale: 1 }, { ...options, n: 0 }),
      () => sourceMap({ kind: "square" } as unknown as SourceProfile, options),
    ];
    for (const refusal of refusals)
      expect(refusal).toThrow(expect.objectContaining({ code: "ERR_QUIVER_BAD_VALUE" }));
  });
});

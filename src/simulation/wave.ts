/** A small simulation with a state worth keeping: the wave equation in a box. */

import { checkObject } from "../shared/arguments.ts";
import { QuiverError } from "../shared/errors.ts";
import { checkOptions, type OptionNames } from "../shared/options.ts";
import { Tensor } from "../tensor/tensor.ts";
import { checkCount, checkPositive } from "./arguments.ts";
import type { StateProfile } from "./profiles.ts";

/** The grid and the step of a wave equation on the unit square. */
export interface WaveOptions {
  /** Inner grid points along each of the two axes of the unit square, whose border is held at 0. */
  readonly n: number;
  /** Courant number: wave speed times time step over grid distance. Default: 0.5. */
  readonly courant?: number;
}

const OPTIONS: OptionNames<WaveOptions> = { n: true, courant: true };

/**
 * u_tt = u_xx + u_yy on a square with fixed border, stepped by leapfrog with the stencil of order 2, from the
 * square's lowest mode at rest. The mode is an eigenvector of the scheme too, so that each step is known in closed
 * form. Two states in a row determine all that follow: a simulation restored from its `state()` continues bit by bit.
 */
export class WaveEquation {
  readonly n: number;
  readonly courant: number;
  #steps: number;
  #previous: Float64Array;
  #current: Float64Array;

  /** Throws ERR_QUIVER_BAD_VALUE for a grid without points and for a Courant number outside of (0, 1/sqrt(2)], with which leapfrog blows up. */
  constructor(options: WaveOptions) {
    checkOptions(options, OPTIONS);
    const { n, courant = 0.5 } = options;
    checkCount("n", n, 1);
    checkPositive("courant", courant);
    if (courant > Math.SQRT1_2) {
      throw new QuiverError(
        "ERR_QUIVER_BAD_VALUE",
        `leapfrog is unstable with the Courant number ${courant}`,
        {
          hint: "In two dimensions it is stable up to 1/sqrt(2).",
          fix: "Take a smaller time step.",
        },
      );
    }
    this.n = n;
    this.courant = courant;
    this.#steps = 0;
    const mode = Float64Array.from({ length: n }, (_, i) => Math.sin((Math.PI * (i + 1)) / (n + 1)));
    this.#current = Float64Array.from(
      { length: n * n },
      (_, i) => (mode[Math.floor(i / n)] as number) * (mode[i % n] as number),
    );
    // At rest, the steps before and after the start are the same: half of the stencil's change.
    this.#previous = this.#current.slice();
    this.#advance(0.5);
    [this.#previous, this.#current] = [this.#current, this.#previous];
    this.#steps = 0;
  }

  /** A simulation that goes on where `state()` was taken. Keeps the arrays. Throws ERR_QUIVER_BAD_VALUE for another state. */
  static restore(state: StateProfile): WaveEquation {
    checkObject("a state", state);
    const { n, courant, steps, previous, current } = state;
    const isField = (part: unknown): part is Tensor<Float64Array> =>
      part instanceof Tensor && part.dtype === "float64" && part.shape.join() === `${n},${n}`;
    if (typeof n !== "number" || typeof courant !== "number" || typeof steps !== "number")
      throw foreignState();
    if (!isField(previous) || !isField(current)) throw foreignState();
    const wave = new WaveEquation({ n, courant });
    wave.#steps = steps;
    wave.#previous = previous.data;
    wave.#current = current.data;
    return wave;
  }

  /** Time steps since the start. */
  get steps(): number {
    return this.#steps;
  }

  /** Displacement, shape [n, n]. A view that later steps write to. */
  get displacement(): Tensor<Float64Array> {
    return new Tensor(this.#current, [this.n, this.n]);
  }

  /** Advances by that many time steps, blocking: some 2 ns a grid point and step. */
  run(steps: number): void {
    checkCount("steps", steps, 0);
    for (let step = 0; step < steps; step++) this.#advance(1);
  }

  /** Everything that the next steps depend on; views that later steps write to. */
  state(): StateProfile {
    const shape = [this.n, this.n];
    return {
      n: this.n,
      courant: this.courant,
      steps: this.#steps,
      previous: new Tensor(this.#previous, shape),
      current: new Tensor(this.#current, shape),
    };
  }

  /** u_next = 2 u - u_previous + courant² * (stencil of u), written over u_previous; `share` weakens the stencil. */
  #advance(share: number): void {
    const { n } = this;
    const u = this.#current;
    const next = this.#previous;
    const factor = this.courant ** 2 * share;
    for (let row = 0; row < n; row++) {
      for (let column = 0; column < n; column++) {
        const i = row * n + column;
        const value = u[i] as number;
        const north = row > 0 ? (u[i - n] as number) : 0;
        const south = row < n - 1 ? (u[i + n] as number) : 0;
        const west = column > 0 ? (u[i - 1] as number) : 0;
        const east = column < n - 1 ? (u[i + 1] as number) : 0;
        const laplacian = north + south + west + east - 4 * value;
        next[i] = 2 * value - (next[i] as number) + factor * laplacian;
      }
    }
    this.#previous = u;
    this.#current = next;
    this.#steps++;
  }
}

function foreignState(): QuiverError {
  return new QuiverError("ERR_QUIVER_BAD_VALUE", "this is no state of a WaveEquation", {
    hint: "It has n, courant and steps, and the fields previous and current, float64 of shape [n, n].",
    fix: "Pass what state() gave.",
  });
}

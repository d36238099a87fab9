/** Durations counted in buckets of a fixed relative width. */

/** Buckets to a doubling: a quantile is at most 19 % above the true one. */
const PER_OCTAVE = 4;
/** From 1 microsecond to 134 seconds; what is longer falls into the last one. */
const OCTAVES = 27;
const BUCKETS = OCTAVES * PER_OCTAVE + 1;

/** A histogram in numbers. Durations are microseconds; all are 0 where nothing was counted. */
export interface LatencySummary {
  readonly count: number;
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** Holds 900 bytes whatever it counts; counting one costs a logarithm. */
export class Histogram {
  readonly #counts = new Float64Array(BUCKETS);
  #count = 0;
  #sum = 0;
  #max = 0;

  record(microseconds: number): void {
    const bucket = microseconds <= 1 ? 0 : Math.ceil(Math.log2(microseconds) * PER_OCTAVE);
    const kept = Math.min(bucket, BUCKETS - 1);
    this.#counts[kept] = (this.#counts[kept] ?? 0) + 1;
    this.#count++;
    this.#sum += microseconds;
    if (microseconds > this.#max) this.#max = microseconds;
  }

  /** The duration that a share `q` of all did not exceed, rounded up to the end of its bucket. */
  quantile(q: number): number {
    const rank = Math.ceil(q * this.#count);
    let seen = 0;
    for (const [bucket, count] of this.#counts.entries()) {
      seen += count;
      if (count > 0 && seen >= rank)
        return bucket === BUCKETS - 1 ? this.#max : Math.min(end(bucket), this.#max);
    }
    return 0;
  }

  summary(): LatencySummary {
    return {
      count: this.#count,
      mean: this.#count === 0 ? 0 : this.#sum / this.#count,
      p50: this.quantile(0.5),
      p90: this.quantile(0.9),
      p99: this.quantile(0.99),
      max: this.#max,
    };
  }
}

function end(bucket: number): number {
  return 2 ** (bucket / PER_OCTAVE);
}

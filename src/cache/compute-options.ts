/** Options of computing what is missing: what users may write, and what becomes of it. */

import type { FreshnessRules } from "../policy/freshness.ts";
import { badOption, checkOptions, type OptionNames } from "../shared/options.ts";
import { type Duration, parseDuration } from "../shared/units.ts";
import { SET_OPTIONS, type SetOptions } from "./writer.ts";

/** For how long an error is remembered; undefined = not at all. */
export type CacheErrors = Duration | ((error: unknown) => Duration | undefined);

/** Options of `getOrCompute`; those of `set` are for the computed value, those of the call that computes it count. */
export interface ComputeOptions extends SetOptions {
  /** So long after its expiry the value is still given out at once, while one caller recomputes it in the background. Default: 0. */
  readonly staleTtl?: Duration;
  /** So long after its expiry the value is given out when computing it again fails, times out, or takes longer than `softTimeout`. Default: 0. */
  readonly grace?: Duration;
  /** So long before its expiry a value that is asked for is recomputed in the background. Default: 0. */
  readonly refreshAhead?: Duration;
  /** Where there is a value within `grace`, it is given out after so long; computing goes on. Default: computing is waited for. */
  readonly softTimeout?: Duration;
  /** Errors of `compute` that callers get again, without computing, for so long: of all kinds, or what a function says of each. Not while a value within `grace` is there. Default: none are kept. */
  readonly cacheErrors?: CacheErrors;
  /** This caller waits no longer than this: ERR_QUIVER_TIMEOUT. Default: as long as it takes. */
  readonly timeout?: Duration;
  /** How long to wait for another process that computes the value; then it is computed here as well. Default: 10 minutes. */
  readonly waitTimeout?: Duration;
  /** This caller waits no longer when it is aborted: ERR_QUIVER_ABORTED. When nobody waits any more, the signal that `compute` was given is aborted and nothing is stored. */
  readonly signal?: AbortSignal;
}

export const COMPUTE_OPTIONS: OptionNames<ComputeOptions> = {
  ...SET_OPTIONS,
  staleTtl: true,
  grace: true,
  refreshAhead: true,
  softTimeout: true,
  cacheErrors: true,
  timeout: true,
  waitTimeout: true,
};

/** The same with nothing left open, but for what is passed on to `set`. Times in milliseconds. */
export interface ComputePlan extends FreshnessRules {
  readonly softTimeout: number | undefined;
  /** undefined = not at all. */
  readonly errorTtl: (error: unknown) => number | undefined;
  readonly timeout: number | undefined;
  readonly waitTimeout: number;
  readonly set: SetOptions;
}

const WAIT_TIMEOUT = 10 * 60_000;

/** Throws ERR_QUIVER_BAD_OPTION. */
export function planOf(options: ComputeOptions): ComputePlan {
  checkOptions(options, COMPUTE_OPTIONS);
  const { staleTtl, grace, refreshAhead, softTimeout, timeout, waitTimeout, cacheErrors, signal, ...set } =
    options;
  return {
    staleTtl: parseDuration(staleTtl ?? 0, "staleTtl"),
    grace: parseDuration(grace ?? 0, "grace"),
    refreshAhead: parseDuration(refreshAhead ?? 0, "refreshAhead"),
    softTimeout: softTimeout === undefined ? undefined : parseDuration(softTimeout, "softTimeout"),
    errorTtl: errorTtlOf(cacheErrors),
    timeout: timeout === undefined ? undefined : parseDuration(timeout, "timeout"),
    waitTimeout: parseDuration(waitTimeout ?? WAIT_TIMEOUT, "waitTimeout"),
    set,
  };
}

/** Whether the age of a value matters, besides that it has not expired. */
export function looksAtAge(plan: ComputePlan): boolean {
  return plan.staleTtl > 0 || plan.grace > 0 || plan.refreshAhead > 0;
}

function errorTtlOf(option: CacheErrors | undefined): ComputePlan["errorTtl"] {
  if (option === undefined) return () => undefined;
  if (typeof option !== "function") {
    const ttl = parseDuration(option, "cacheErrors");
    return () => ttl;
  }
  return (error) => {
    const ttl = option(error);
    if (ttl === undefined) return undefined;
    if (typeof ttl !== "number" && typeof ttl !== "string") {
      throw badOption("cacheErrors", ttl, "a function that returns a duration or undefined");
    }
    return parseDuration(ttl, "cacheErrors");
  };
}

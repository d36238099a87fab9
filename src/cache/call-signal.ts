/**
 * Signals among the arguments of memoised functions. A caller's signal ends that caller's wait and says nothing of
 * what is computed; the function is given the signal of the computation, which others may be waiting for too.
 */

import { isPlainObject } from "../codecs/values.ts";
import type { Context } from "./flight.ts";

/** The arguments of one call, taken apart. */
export interface Call<Args extends readonly unknown[]> {
  /** The caller's. */
  readonly signal: AbortSignal | undefined;
  /** What makes the key: all but signals, and but options that say nothing else. */
  readonly inputs: readonly unknown[];
  /** The arguments with another signal in place of the caller's, which is asked for where there is one. */
  readonly withSignalOf: (context: Context) => Args;
}

/** Looks for an argument that is an AbortSignal, or an object whose field `signal` is one; the first counts. */
export function takeApart<Args extends readonly unknown[]>(args: Args): Call<Args> {
  const at = args.findIndex((argument) => argument instanceof AbortSignal || hasSignal(argument));
  if (at < 0) return { signal: undefined, inputs: args, withSignalOf: () => args };
  const argument = args[at];
  const put = (replaced: unknown): Args => args.with(at, replaced) as unknown as Args;
  if (argument instanceof AbortSignal) {
    return {
      signal: argument,
      inputs: args.toSpliced(at, 1),
      withSignalOf: (context) => put(context.signal),
    };
  }
  const { signal, ...rest } = argument as { readonly signal: AbortSignal };
  const inputs = Object.keys(rest).length === 0 ? args.toSpliced(at, 1) : args.with(at, rest);
  return { signal, inputs, withSignalOf: (context) => put({ ...rest, signal: context.signal }) };
}

function hasSignal(argument: unknown): boolean {
  return isPlainObject(argument) && argument["signal"] instanceof AbortSignal;
}

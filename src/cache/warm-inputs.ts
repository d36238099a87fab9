/** Filling a cache ahead of time from a list of inputs of a memoised function. */

import { availableParallelism } from "node:os";
import { QuiverError } from "../shared/errors.ts";
import { badOption, checkOptions, type OptionNames } from "../shared/options.ts";
import { mapBounded } from "./bounded.ts";
import { aborted } from "./failures.ts";
import type { Memoized } from "./memoize.ts";
import { count, iterable } from "./option-readers.ts";

interface InputCounts {
  readonly computed: number;
  readonly present: number;
  readonly failed: number;
}

/** How far warming is. */
export interface WarmInputsProgress<Input> extends InputCounts {
  readonly done: number;
  /** undefined where the inputs can't be counted without walking over them. */
  readonly total: number | undefined;
  /** The one that was just finished. */
  readonly input: Input;
}

/** Options of warming a memoised function. */
export interface WarmInputsOptions<Input, Args extends readonly unknown[]> {
  /** The arguments that an input stands for. Default: the input is the only one. */
  readonly args?: (input: Input) => Args;
  /** Computations under way at the same time. Default: the number of processors. */
  readonly concurrency?: number;
  /** Called after each input, whatever became of it. */
  readonly onProgress?: (progress: WarmInputsProgress<Input>) => void;
  /** Begins nothing more; what has been computed stays, and another call goes on from there. */
  readonly signal?: AbortSignal;
}

const WARM_INPUTS_OPTIONS: OptionNames<WarmInputsOptions<unknown, []>> = {
  args: true,
  concurrency: true,
  onProgress: true,
  signal: true,
};

/** What became of the inputs. */
export interface WarmInputsReport<Input> extends InputCounts {
  /** Why the failed ones failed. */
  readonly failures: readonly { readonly input: Input; readonly error: unknown }[];
}

/**
 * Computes what is missing; what is there costs a look-up, so that a call which was interrupted is taken up by the next.
 * An input whose result could not be stored counts as failed. Throws ERR_QUIVER_ABORTED when the signal is aborted.
 */
export async function warmInputs<Input, Args extends readonly unknown[]>(
  inputs: Iterable<Input>,
  memoized: Memoized<Args, unknown>,
  options: WarmInputsOptions<Input, Args>,
): Promise<WarmInputsReport<Input>> {
  checkOptions(options, WARM_INPUTS_OPTIONS);
  const { signal, onProgress } = options;
  const argumentsOf = options.args ?? ((input: Input) => [input] as unknown as Args);
  const concurrency =
    options.concurrency === undefined ? availableParallelism() : count(options.concurrency, "concurrency");
  if (concurrency === 0) throw badOption("concurrency", 0, "a whole number from 1 on");
  const counts = { computed: 0, present: 0, failed: 0 };
  const failures: WarmInputsReport<Input>["failures"][number][] = [];
  let done = 0;
  await mapBounded(iterable(inputs, "inputs"), concurrency, async (input) => {
    if (signal?.aborted) throw aborted(signal, "warming");
    try {
      const args = argumentsOf(input);
      if (await memoized.has(...args)) counts.present++;
      else {
        await memoized(...args);
        if (!(await memoized.has(...args))) throw unstored(await memoized.key(...args));
        counts.computed++;
      }
    } catch (error) {
      counts.failed++;
      failures.push({ input, error });
    }
    done++;
    onProgress?.({ ...counts, done, total: countOf(inputs), input });
  });
  return { ...counts, failures };
}

function countOf(inputs: Iterable<unknown>): number | undefined {
  const { length, size } = inputs as { length?: unknown; size?: unknown };
  const known = length ?? size;
  return typeof known === "number" ? known : undefined;
}

function unstored(key: string): QuiverError {
  return new QuiverError("ERR_QUIVER_NOT_FOUND", `"${key}" was computed and is not there`, {
    key,
    hint: "It could not be stored, or has left again: its time is short, or a limit is.",
    fix: "Look at the warnings and at cache.metrics(), and raise the limit or the time to live.",
  });
}

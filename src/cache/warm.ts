/** Filling a cache ahead of time from a declared list of recipes. */

import { availableParallelism } from "node:os";
import { QuiverError } from "../shared/errors.ts";
import { badOption, checkOptions, type OptionNames } from "../shared/options.ts";
import { mapBounded } from "./bounded.ts";
import { aborted } from "./failures.ts";
import { count } from "./option-readers.ts";
import type { SetOptions } from "./writer.ts";

/** Values of the placeholders in one key. */
export type RecipeParameters = Readonly<Record<string, string | number | boolean>>;

/** How the values of a family of keys are computed. */
export interface Recipe {
  readonly namespace: string;
  /** The keys: each `{name}` stands for a value of that parameter. Every parameter with several values must occur. */
  readonly key: string;
  /** One value or several of each parameter; all combinations are made. Default: none, for a single key. */
  readonly parameters?: Readonly<
    Record<string, RecipeParameters[string] | readonly RecipeParameters[string][]>
  >;
  /** Computes the value for one combination. */
  readonly compute: (parameters: RecipeParameters, context: { readonly signal: AbortSignal }) => unknown;
  readonly options?: SetOptions;
}

/** How far warming is. */
export interface WarmProgress extends WarmCounts {
  readonly done: number;
  readonly total: number;
  /** The entry that was just finished. */
  readonly namespace: string;
  readonly key: string;
}

/** Options of warming from recipes. */
export interface WarmOptions {
  /** Computations under way at the same time. Default: the number of processors. */
  readonly concurrency?: number;
  /** Only says which keys are missing. Default: false. */
  readonly dryRun?: boolean;
  /** Called after each entry, whatever became of it. */
  readonly onProgress?: (progress: WarmProgress) => void;
  /** Stops; what has been computed stays, and another call goes on from there. */
  readonly signal?: AbortSignal;
}

/** What `checkOptions` asks of them. */
export const WARM_OPTIONS: OptionNames<WarmOptions> = {
  concurrency: true,
  dryRun: true,
  onProgress: true,
  signal: true,
};

interface WarmCounts {
  readonly computed: number;
  readonly present: number;
  readonly failed: number;
}

/** What became of the keys of all recipes. */
export interface WarmReport extends WarmCounts {
  /** Why the failed ones failed. */
  readonly failures: readonly { readonly namespace: string; readonly key: string; readonly error: unknown }[];
  /** With `dryRun`: the keys that would be computed. */
  readonly missing: readonly { readonly namespace: string; readonly key: string }[];
}

/** What warming needs of a cache. */
export interface Warmable {
  has(namespace: string, key: string): Promise<boolean>;
  /** Computes and stores unless another process does; whether it was computed here. Rejects when it fails or can't be stored. */
  compute(
    namespace: string,
    key: string,
    task: { compute: (signal: AbortSignal) => unknown; options: SetOptions; signal: AbortSignal | undefined },
  ): Promise<boolean>;
}

interface Job {
  readonly recipe: Recipe;
  readonly key: string;
  readonly parameters: RecipeParameters;
}

/**
 * Computes the missing keys of all recipes; those that are there cost a look-up. A failure is reported and doesn't
 * keep the others from being computed. Throws ERR_QUIVER_BAD_OPTION for a recipe whose keys can't be told apart,
 * before anything is computed, and ERR_QUIVER_ABORTED when the signal is aborted.
 */
export async function warm(
  cache: Warmable,
  recipes: readonly Recipe[],
  options: WarmOptions,
): Promise<WarmReport> {
  const { signal, dryRun = false, onProgress } = options;
  const concurrency =
    options.concurrency === undefined ? availableParallelism() : count(options.concurrency, "concurrency");
  if (concurrency === 0) throw badOption("concurrency", 0, "a whole number from 1 on");
  if (!Array.isArray(recipes)) throw badOption("recipes", recipes, "a list of recipes");
  const total = recipes.reduce<number>(
    (sum, recipe, index) => sum + checkRecipe(recipe, `recipes[${index}]`),
    0,
  );
  const counts = { computed: 0, present: 0, failed: 0 };
  const failures: WarmReport["failures"][number][] = [];
  const missing: WarmReport["missing"][number][] = [];

  const finish = async (job: Job): Promise<void> => {
    const { key, recipe, parameters } = job;
    const { namespace } = recipe;
    if (await cache.has(namespace, key)) counts.present++;
    else if (dryRun) missing.push({ namespace, key });
    else {
      const compute = (inner: AbortSignal): unknown => recipe.compute(parameters, { signal: inner });
      const here = await cache.compute(namespace, key, { compute, options: recipe.options ?? {}, signal });
      counts[here ? "computed" : "present"]++;
    }
  };

  let done = 0;
  await mapBounded(jobsOf(recipes), concurrency, async (job) => {
    const { namespace } = job.recipe;
    if (signal?.aborted) throw aborted(signal, "warming");
    try {
      await finish(job);
    } catch (error) {
      if (signal?.aborted) throw aborted(signal, "warming");
      counts.failed++;
      failures.push({ namespace, key: job.key, error });
    }
    done++;
    onProgress?.({ ...counts, done, total, namespace, key: job.key });
  });
  return { ...counts, failures, missing };
}

const RECIPE: OptionNames<Recipe> = {
  namespace: true,
  key: true,
  parameters: true,
  compute: true,
  options: true,
};

/** How many keys a recipe has. */
function checkRecipe(recipe: Recipe, field: string): number {
  checkOptions(recipe, RECIPE, field);
  if (typeof recipe.key !== "string") throw badOption(`${field}.key`, recipe.key, "a text");
  if (typeof recipe.compute !== "function") throw badOption(`${field}.compute`, recipe.compute, "a function");
  const names = new Set([...recipe.key.matchAll(PLACEHOLDER)].map((match) => match[1] as string));
  const parameters = recipe.parameters ?? {};
  for (const name of names) {
    if (Object.hasOwn(parameters, name)) continue;
    throw badRecipe(field, `its key names {${name}}, which is not among its parameters`);
  }
  let keys = 1;
  for (const [name, given] of Object.entries(parameters)) {
    const values = valuesOf(given);
    keys *= values.length;
    if (new Set(values.map(String)).size < values.length) throw badRecipe(field, `${name} has a value twice`);
    if (values.length > 1 && !names.has(name)) {
      throw badRecipe(field, `its key doesn't name {${name}}, which has ${values.length} values`);
    }
  }
  return keys;
}

const PLACEHOLDER = /\{(\w+)\}/g;

function* jobsOf(recipes: readonly Recipe[]): Generator<Job> {
  for (const recipe of recipes) {
    for (const parameters of combinations(Object.entries(recipe.parameters ?? {}))) {
      const key = recipe.key.replace(PLACEHOLDER, (_, name: string) => String(parameters[name]));
      yield { recipe, key, parameters };
    }
  }
}

/** All combinations, the last parameter varying fastest. */
function* combinations(
  parameters: readonly (readonly [string, RecipeParameters[string] | readonly RecipeParameters[string][]])[],
): Generator<RecipeParameters> {
  const [first, ...others] = parameters;
  if (first === undefined) {
    yield {};
    return;
  }
  const [name, given] = first;
  for (const value of valuesOf(given)) {
    for (const rest of combinations(others)) yield { [name]: value, ...rest };
  }
}

function valuesOf(
  given: RecipeParameters[string] | readonly RecipeParameters[string][],
): readonly RecipeParameters[string][] {
  return typeof given === "object" ? given : [given];
}

function badRecipe(field: string, reason: string): QuiverError {
  return new QuiverError("ERR_QUIVER_BAD_OPTION", `${field} can't be followed: ${reason}`, {
    fix: "Make every parameter with several values part of the key, so that each combination has its own.",
  });
}

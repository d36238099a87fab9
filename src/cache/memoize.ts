/** Functions whose results are kept: the same arguments, the same key, computed once. */

import { CACHE_KEY_OPTIONS, type CacheKeyOptions, KeyMaker } from "../hashing/cache-key.ts";
import { badOption, checkOptions, type OptionNames } from "../shared/options.ts";
import { takeApart } from "./call-signal.ts";
import { COMPUTE_OPTIONS, type ComputeOptions, planOf } from "./compute-options.ts";
import type { Task } from "./computing.ts";
import { Dependencies, type Dependency } from "./dependencies.ts";

/** Options of `memoize`: those of computing, which count for every call, and how keys are made. */
export interface MemoizeOptions<Args extends readonly unknown[] = readonly never[]>
  extends Omit<ComputeOptions, "signal">,
    CacheKeyOptions {
  /** What of the arguments counts; equal results share a value. Default: all of them but AbortSignals. */
  readonly key?: (...args: Args) => unknown;
  /** What else the result depends on; its digests become part of the key, so that changed data are a miss. */
  readonly deps?: readonly Dependency[] | ((...args: Args) => readonly Dependency[]);
}

const { signal: _, ...COMPUTING } = COMPUTE_OPTIONS;

const MEMOIZE_OPTIONS: OptionNames<MemoizeOptions> = {
  ...COMPUTING,
  ...CACHE_KEY_OPTIONS,
  key: true,
  deps: true,
};

/** A memoised function. An AbortSignal among the arguments, or as field `signal` of one, ends that caller's wait alone. */
export interface Memoized<Args extends readonly unknown[], Value> {
  /** The result, found or computed. Errors of the function come unchanged; those of the cache only cost time. */
  (...args: Args): Promise<Value>;
  /** Calls the function and stores its result, whatever is there. */
  refresh(...args: Args): Promise<Value>;
  /** The result if it is there; never calls the function. */
  peek(...args: Args): Promise<Value | undefined>;
  /** Whether the result is there; doesn't read it. */
  has(...args: Args): Promise<boolean>;
  /** The key in the namespace; a promise where `deps` have to be looked at. Throws ERR_QUIVER_BAD_VALUE for arguments that make no key. */
  key(...args: Args): string | Promise<string>;
  /** Removes the result of these arguments for all processes; whether there was one. */
  invalidate(...args: Args): Promise<boolean>;
  /** Removes all results of this function and version for all processes; how many. */
  invalidateAll(): Promise<number>;
}

/** What memoising needs of a namespace. */
export interface Memoizable {
  readonly name: string;
  obtain(task: Task, signal: AbortSignal | undefined): Promise<unknown>;
  renew(task: Task, signal: AbortSignal | undefined): Promise<unknown>;
  get(key: string): Promise<unknown>;
  has(key: string): Promise<boolean>;
  delete(key: string): Promise<boolean>;
  deleteByPrefix(prefix: string): Promise<number>;
  digestOf(namespace: string | undefined, key: string): Promise<string | undefined>;
}

/** A function to memoize, which may be a method. */
export type Memoizee = (this: never, ...args: never[]) => unknown;

/** A function as it is when it has been memoised. */
export type MemoizedOf<Fn extends Memoizee> = Memoized<Parameters<Fn>, Awaited<ReturnType<Fn>>>;

/** Throws ERR_QUIVER_BAD_OPTION. */
export function memoize<Args extends readonly unknown[], Value>(
  target: Memoizable,
  fn: (this: never, ...args: Args) => Value | Promise<Value>,
  options: MemoizeOptions<Args>,
): Memoized<Args, Value> {
  if (typeof fn !== "function") throw badOption("the function to memoize", fn, "a function");
  checkOptions(options, MEMOIZE_OPTIONS);
  const { key: pick, deps, version, hash, normalize, ...compute } = options;
  if (pick !== undefined && typeof pick !== "function") throw badOption("key", pick, "a function");
  const keys = new KeyMaker(target.name, {
    ...(version !== undefined && { version }),
    ...(hash !== undefined && { hash }),
    ...(normalize !== undefined && { normalize }),
  });
  const plan = planOf(compute);
  const dependencies = new Dependencies((namespace, key) => target.digestOf(namespace, key));

  const keyOf = (self: unknown, args: Args, inputs: readonly unknown[]): string | Promise<string> => {
    const counted = pick === undefined ? inputs : [pick.apply(self, args as never)];
    if (deps === undefined) return keys.keyOf(counted);
    const named = typeof deps === "function" ? deps.apply(self, args as never) : deps;
    return dependencies.digestsOf(named).then((digests) => keys.keyOf(counted, digests));
  };
  const run = async (way: "obtain" | "renew", self: unknown, args: Args): Promise<Value> => {
    const { signal, inputs, withSignalOf } = takeApart(args);
    const made = keyOf(self, args, inputs);
    const key = typeof made === "string" ? made : await made;
    const task: Task = {
      key,
      compute: (context) => fn.apply(self as never, withSignalOf(context) as never),
      plan,
    };
    return target[way](task, signal) as Promise<Value>;
  };
  const keyFor = (self: unknown, args: Args): string | Promise<string> =>
    keyOf(self, args, takeApart(args).inputs);

  const members: Omit<Memoized<Args, Value>, never> = {
    refresh(...args) {
      return run("renew", this, args);
    },
    async peek(...args) {
      return target.get(await keyFor(this, args)) as Promise<Value | undefined>;
    },
    async has(...args) {
      return target.has(await keyFor(this, args));
    },
    key(...args) {
      return keyFor(this, args);
    },
    async invalidate(...args) {
      return target.delete(await keyFor(this, args));
    },
    invalidateAll: () => target.deleteByPrefix(keys.prefix),
  };
  function memoized(this: unknown, ...args: Args): Promise<Value> {
    return run("obtain", this, args);
  }
  Object.defineProperty(memoized, "name", { value: fn.name, configurable: true });
  return Object.assign(memoized, members);
}

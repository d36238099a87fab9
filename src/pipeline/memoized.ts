/** Memoising methods by a decorator. */

import type { Memoized, MemoizeOptions } from "../cache/memoize.ts";
import type { Namespace } from "../cache/namespace.ts";

/** A method that may be decorated. */
type Method<This, Args extends readonly unknown[], Value> = (this: This, ...args: Args) => Promise<Value>;

/**
 * Keeps the results of a method in a namespace, or in the one that a function of the instance gives at the first
 * call. The instance is no part of the key: where results depend on it, `options.key` says how; it is called with
 * the instance as `this`. A standard decorator, `@memoized(namespace, { ttl: "2h" })`.
 */
export function memoized<This, Args extends readonly unknown[], Value>(
  namespace: Namespace | ((instance: This) => Namespace),
  options: MemoizeOptions<Args> = {},
): (
  method: Method<This, Args, Value>,
  context: ClassMethodDecoratorContext<This, Method<This, Args, Value>>,
) => Method<This, Args, Value> {
  return (method) => {
    const made = new WeakMap<Namespace, Memoized<Args, Value>>();
    return function (this: This, ...args: Args): Promise<Value> {
      const home = typeof namespace === "function" ? namespace(this) : namespace;
      let memo = made.get(home);
      if (memo === undefined) {
        memo = home.memoize(method as never, options as never) as unknown as Memoized<Args, Value>;
        made.set(home, memo);
      }
      return memo.apply(this, args as never);
    };
  };
}

/** From the option `eviction` to a policy. */

import { QuiverError } from "../shared/errors.ts";
import type { EvictionPolicy } from "./eviction.ts";
import { fifo } from "./fifo.ts";
import { lfu } from "./lfu.ts";
import { lru } from "./lru.ts";
import { sieve } from "./sieve.ts";

export type BuiltInPolicyName = "lru" | "lfu" | "fifo" | "sieve";

const BUILT_IN: Readonly<Record<BuiltInPolicyName, EvictionPolicy>> = { lru, lfu, fifo, sieve };

/** One of the built-in policies by name, or the user's own. */
export type EvictionOption = BuiltInPolicyName | EvictionPolicy;

const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/i;

/**
 * The policy that an option means. Throws ERR_QUIVER_BAD_OPTION for an unknown name, for an object that is no
 * policy, and for one that takes the name of a built-in: the name is what processes compare. `field` is the option to
 * blame.
 */
export function resolvePolicy(option: EvictionOption, field = "eviction"): EvictionPolicy {
  if (typeof option === "string") {
    if (Object.hasOwn(BUILT_IN, option)) return BUILT_IN[option];
    throw badPolicy(`${field} is ${JSON.stringify(option)}, which names no policy`);
  }
  if (typeof option !== "object" || option === null || typeof option.score !== "function") {
    throw badPolicy(`${field} is neither a name nor an object with a function "score"`);
  }
  if (typeof option.name !== "string" || !NAME.test(option.name)) {
    throw badPolicy("an eviction policy of your own needs a `name` of letters, digits, '.', '_' and '-'");
  }
  if (Object.hasOwn(BUILT_IN, option.name) && option !== BUILT_IN[option.name as BuiltInPolicyName]) {
    throw badPolicy(`an eviction policy of your own must not be named ${JSON.stringify(option.name)}`);
  }
  return option;
}

/**
 * Scores a chunk of candidates with any policy. Throws ERR_QUIVER_BAD_OPTION, with the policy's error as its
 * cause, when the policy throws.
 */
export function scoreWith(
  policy: EvictionPolicy,
  ...[columns, now, out]: Parameters<EvictionPolicy["score"]>
): void {
  try {
    policy.score(columns, now, out);
  } catch (cause) {
    throw new QuiverError("ERR_QUIVER_BAD_OPTION", `the eviction policy "${policy.name}" threw`, {
      hint: "Nothing is evicted while its policy fails.",
      fix: "Correct the policy's `score`; the cause tells what went wrong.",
      cause,
    });
  }
}

function badPolicy(message: string): QuiverError {
  return new QuiverError("ERR_QUIVER_BAD_OPTION", message, {
    fix: `Give one of ${Object.keys(BUILT_IN).join(", ")}, or an object { name, score(columns, now, out) }.`,
  });
}

/** Rules as users write them, and as the router follows them. */

import { QuiverError } from "../shared/errors.ts";
import { checkOptions, type OptionNames } from "../shared/options.ts";
import { parseSize, type Size } from "../shared/units.ts";
import { checkStore } from "../stores/check-store.ts";
import type { Store } from "../stores/store.ts";

/** Sends entries to `store`; every condition that is given has to hold. */
export interface RouteRule {
  /** Entries of this namespace. */
  readonly namespace?: string;
  /** Encoded values of at least this many bytes. Values whose size is not known beforehand never match. */
  readonly minBytes?: Size;
  /** Encoded values of at most this many bytes. Values whose size is not known beforehand never match. */
  readonly maxBytes?: Size;
  /** Keys that this is true for. Must always say the same of a key: lookups ask it again. */
  readonly match?: (key: string) => boolean;
  readonly store: Store;
}

const RULE: OptionNames<RouteRule> = {
  namespace: true,
  minBytes: true,
  maxBytes: true,
  match: true,
  store: true,
};

/** A rule with its sizes in bytes; those left out as 0 and Infinity. */
export interface Route {
  readonly namespace: string | undefined;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly match: ((key: string) => boolean) | undefined;
  readonly store: Store;
}

/** Whether nothing that follows this route is ever asked. */
export function takesEverything(route: Route): boolean {
  return route.minBytes === 0 && route.maxBytes === Number.POSITIVE_INFINITY && route.match === undefined;
}

/** Throws ERR_QUIVER_BAD_OPTION for a rule that can never match, or one without a store. `index` is for the message. */
export function routeOf(rule: RouteRule, index: number): Route {
  checkOptions(rule, RULE, `routes[${index}]`);
  checkStore(rule.store, `routes[${index}].store`);
  const minBytes = rule.minBytes === undefined ? 0 : parseSize(rule.minBytes, `routes[${index}].minBytes`);
  const maxBytes =
    rule.maxBytes === undefined
      ? Number.POSITIVE_INFINITY
      : parseSize(rule.maxBytes, `routes[${index}].maxBytes`);
  if (minBytes > maxBytes) throw badRule(index, `minBytes ${minBytes} exceeds maxBytes ${maxBytes}`);
  if (rule.match !== undefined && typeof rule.match !== "function")
    throw badRule(index, "match is not a function");
  return { namespace: rule.namespace, minBytes, maxBytes, match: rule.match, store: rule.store };
}

function badRule(index: number, reason: string): QuiverError {
  return new QuiverError("ERR_QUIVER_BAD_OPTION", `routes[${index}] can't be followed: ${reason}`);
}

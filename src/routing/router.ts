/**
 * Which store an entry goes to. A router opens namespaces like a store does; where several stores can hold a
 * namespace's entries it hands out one namespace over them all (`RoutedNamespace`). Tiers join here as well: a
 * tier over two stores is a store itself and stands in a rule like any other.
 */

import type { NamespaceSettings, Store, StoreNamespace, Usage } from "../stores/store.ts";
import { sumUsage } from "../stores/usage.ts";
import { RoutedNamespace } from "./routed-namespace.ts";
import { type Route, type RouteRule, routeOf, takesEverything } from "./rules.ts";

/** Rules in their order, the first that matches wins, and a default store for what none matches. */
export class Router {
  /** Every store once: those of the rules in their order, the default last. Limits are kept store by store. */
  readonly stores: readonly Store[];
  readonly #routes: readonly Route[];

  /** Throws ERR_QUIVER_BAD_OPTION for a rule that can never match, or one without a store. */
  constructor(rules: readonly RouteRule[], defaultStore: Store) {
    const always = {
      namespace: undefined,
      minBytes: 0,
      maxBytes: Number.POSITIVE_INFINITY,
      match: undefined,
    };
    this.#routes = [...rules.map(routeOf), { ...always, store: defaultStore }];
    this.stores = [...new Set(this.#routes.map((route) => route.store))];
  }

  /** Opens a namespace in every store that can hold entries of it; see `Store.open`. */
  async open(
    namespace: string,
    settings: Partial<NamespaceSettings>,
    options: { reconfigure?: boolean } = {},
  ): Promise<StoreNamespace> {
    const routes = this.#routes.filter(
      (route) => route.namespace === undefined || route.namespace === namespace,
    );
    // A rule without further conditions takes everything; what follows it is never asked.
    const last = routes.findIndex(takesEverything);
    const reachable = routes.slice(0, last + 1);
    const opened = new Map<Store, StoreNamespace>();
    for (const { store } of reachable) {
      if (!opened.has(store)) opened.set(store, await store.open(namespace, settings, options));
    }
    const legs = reachable.map((route) => ({ route, target: opened.get(route.store) as StoreNamespace }));
    const only = legs[0];
    return only !== undefined && opened.size === 1 ? only.target : new RoutedNamespace(namespace, legs);
  }

  /** Names of the namespaces of all stores, sorted. */
  async names(): Promise<readonly string[]> {
    const lists = await Promise.all(this.stores.map((store) => store.names()));
    return [...new Set(lists.flat())].sort();
  }

  /** Sums over all stores. */
  usage(): Usage {
    return sumUsage(this.stores.map((store) => store.usage()));
  }

  /** Closes every store; rejects with the first failure after having tried all. */
  async close(): Promise<void> {
    const results = await Promise.allSettled(this.stores.map((store) => store.close()));
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }
}

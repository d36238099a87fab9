/** The way from a namespace that users hold to the one in the store, which takes a moment to open. */

import type { NamespaceSettings, StoreNamespace } from "../stores/store.ts";
import type { CacheContext } from "./context.ts";
import { HotNamespace } from "./hot.ts";

export interface NamespaceLink {
  readonly name: string;
  /** undefined until it has been opened. */
  readonly current: StoreNamespace | undefined;
  readonly hot: HotNamespace;
  /** Rejects with ERR_QUIVER_SETTINGS_DIFFER when the store has recorded other settings, and with what else opening fails of; then the next call tries again. */
  open(): Promise<StoreNamespace>;
}

/** A link that opens the namespace when it is first asked to. */
export class LazyNamespaceLink implements NamespaceLink {
  readonly name: string;
  // No accessors: every read asks for both, most of them in code that is not optimised.
  current: StoreNamespace | undefined;
  hot: HotNamespace;
  readonly #context: CacheContext;
  #opening: Promise<StoreNamespace> | undefined;
  readonly #settings: Partial<NamespaceSettings>;

  /** `opened` is the namespace as the cache has it open already; it counts where it has the given settings. */
  constructor(
    context: CacheContext,
    name: string,
    settings: Partial<NamespaceSettings>,
    opened: StoreNamespace | undefined,
  ) {
    this.name = name;
    this.#context = context;
    this.#settings = settings;
    this.hot = new HotNamespace(context.memory, undefined);
    if (opened !== undefined && agrees(opened.settings, settings)) this.#bind(opened);
  }

  async open(): Promise<StoreNamespace> {
    this.#context.checkOpen();
    if (this.current !== undefined) return this.current;
    this.#opening ??= this.#context.open(this.name, this.#settings);
    try {
      return this.#bind(await this.#opening);
    } finally {
      this.#opening = undefined;
    }
  }

  #bind(opened: StoreNamespace): StoreNamespace {
    if (this.current === undefined) {
      this.current = opened;
      this.hot = new HotNamespace(this.#context.memory, opened.coherence);
    }
    return this.current;
  }
}

function agrees(recorded: NamespaceSettings, given: Partial<NamespaceSettings>): boolean {
  return Object.entries(given).every(([name, value]) => recorded[name as keyof NamespaceSettings] === value);
}

/** The store that keeps nothing: caching switched off, without another path through the code. */

import type { EncodedValue } from "../codecs/codec.ts";
import { now } from "../shared/clock.ts";
import { QuiverError } from "../shared/errors.ts";
import { completeSettings, reconcileSettings } from "./settings.ts";
import type {
  EntryFacts,
  EvictionScan,
  NamespaceSettings,
  NewFacts,
  Page,
  Store,
  StoreCapabilities,
  StoreNamespace,
  Usage,
  ValueWriter,
} from "./store.ts";

const NOTHING: Usage = { entries: 0, bytes: 0, allocated: 0 };
const EMPTY_PAGE: Page = { entries: [], next: undefined };

/** Accepts every write and forgets it; every lookup is a miss. */
export class NullStore implements Store {
  readonly name = "null";
  readonly capabilities: StoreCapabilities = {
    sync: true,
    persistent: false,
    shared: false,
    files: false,
    mapped: false,
    versions: false,
    stale: false,
    keeps: false,
  };

  readonly #namespaces = new Map<string, NullNamespace>();
  #closed = false;

  async open(
    name: string,
    settings: Partial<NamespaceSettings>,
    options: { reconfigure?: boolean } = {},
  ): Promise<StoreNamespace> {
    this.#checkOpen();
    const existing = this.#namespaces.get(name);
    if (existing !== undefined) {
      existing.settings = reconcileSettings(name, existing.settings, settings, options.reconfigure ?? false);
      return existing;
    }
    const made = new NullNamespace(name, completeSettings(settings), () => this.#checkOpen());
    this.#namespaces.set(name, made);
    return made;
  }

  async names(): Promise<readonly string[]> {
    this.#checkOpen();
    return [...this.#namespaces.keys()].sort();
  }

  usage(): Usage {
    return NOTHING;
  }

  async evictionScan(): Promise<EvictionScan> {
    this.#checkOpen();
    return {
      next: async () => undefined,
      offer: () => undefined,
      evict: async () => ({ count: 0, bytes: 0, sample: [] }),
      [Symbol.dispose]: () => undefined,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #checkOpen(): void {
    if (this.#closed) throw new QuiverError("ERR_QUIVER_CLOSED", `the store "${this.name}" is closed`);
  }
}

class NullNamespace implements StoreNamespace {
  readonly name: string;
  readonly coherence = undefined;
  settings: NamespaceSettings;
  readonly #checkOpen: () => void;

  constructor(name: string, settings: NamespaceSettings, checkOpen: () => void) {
    this.name = name;
    this.settings = settings;
    this.#checkOpen = checkOpen;
  }

  getSync(): undefined {
    this.#checkOpen();
  }

  async get(): Promise<undefined> {
    this.#checkOpen();
  }

  async has(): Promise<boolean> {
    this.#checkOpen();
    return false;
  }

  async set(key: string, value: EncodedValue, facts: NewFacts): Promise<EntryFacts> {
    this.#checkOpen();
    return forgotten(key, value.byteLength, facts);
  }

  async writer(key: string): Promise<ValueWriter> {
    this.#checkOpen();
    let size = 0;
    return {
      write: async (chunk) => {
        this.#checkOpen();
        size += chunk.byteLength;
      },
      commit: async (facts) => {
        this.#checkOpen();
        return forgotten(key, size, facts);
      },
      abort: async () => undefined,
    };
  }

  async delete(): Promise<boolean> {
    this.#checkOpen();
    return false;
  }

  async info(): Promise<undefined> {
    this.#checkOpen();
  }

  async list(): Promise<Page> {
    this.#checkOpen();
    return EMPTY_PAGE;
  }

  async touch(): Promise<undefined> {
    this.#checkOpen();
  }

  async clear(): Promise<number> {
    this.#checkOpen();
    return 0;
  }

  async deleteByTag(): Promise<number> {
    this.#checkOpen();
    return 0;
  }

  async expire(): Promise<number> {
    this.#checkOpen();
    return 0;
  }

  usage(): Usage {
    return NOTHING;
  }
}

/** The facts of a value that was stored, had it been. */
function forgotten(key: string, size: number, facts: NewFacts): EntryFacts {
  const time = now();
  return {
    key,
    size,
    digest: undefined,
    createdAt: time,
    expiresAt: facts.expiresAt,
    lastAccessed: time,
    accessCount: 0,
    codec: facts.codec,
    priority: facts.priority ?? 0,
    pinned: facts.pinned ?? false,
    tags: [...new Set(facts.tags)],
    metadata: facts.metadata,
    ...(facts.shape && { shape: facts.shape }),
    ...(facts.dtype !== undefined && { dtype: facts.dtype }),
  };
}

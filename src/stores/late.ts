/** A store that could not be opened, and may be later: a volume that is mounted late, a disk that was full. */

import { now } from "../shared/clock.ts";
import type {
  EvictionScan,
  NamespaceSettings,
  Store,
  StoreCapabilities,
  StoreNamespace,
  Usage,
} from "./store.ts";

const NOTHING: Usage = { entries: 0, bytes: 0, allocated: 0 };

export interface LateStoreOptions {
  /** What the store will be called, and will be able to do. */
  readonly name: string;
  readonly capabilities: StoreCapabilities;
  /** Opens it; called again, `retryAfter` milliseconds after a failure at the earliest, when it is asked for. */
  readonly open: () => Promise<Store>;
  readonly retryAfter: number;
  /** The attempt that has failed, or is still under way. */
  readonly first: Promise<Store>;
}

/** Until the store is there it has no namespaces, and opening one rejects with the reason why it isn't. */
export class LateStore implements Store {
  readonly name: string;
  readonly capabilities: StoreCapabilities;
  readonly #options: LateStoreOptions;
  #attempt: Promise<Store>;
  #failedAt: number | undefined;
  #store: Store | undefined;
  #closed = false;

  constructor(options: LateStoreOptions) {
    this.name = options.name;
    this.capabilities = options.capabilities;
    this.#options = options;
    this.#attempt = this.#watch(options.first);
  }

  async open(
    namespace: string,
    settings: Partial<NamespaceSettings>,
    options?: { reconfigure?: boolean },
  ): Promise<StoreNamespace> {
    return (await this.#reach()).open(namespace, settings, options);
  }

  async names(): Promise<readonly string[]> {
    return this.#store?.names() ?? [];
  }

  usage(): Usage {
    return this.#store?.usage() ?? NOTHING;
  }

  async evictionScan(options: Parameters<Store["evictionScan"]>[0]): Promise<EvictionScan> {
    return (await this.#reach()).evictionScan(options);
  }

  /** Does not wait for an attempt that is under way; what that opens is closed at once. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#store?.close();
  }

  #reach(): Promise<Store> {
    const { open, retryAfter } = this.#options;
    if (this.#failedAt !== undefined && now() >= this.#failedAt + retryAfter && !this.#closed) {
      this.#failedAt = undefined;
      this.#attempt = this.#watch(open());
    }
    return this.#attempt;
  }

  #watch(attempt: Promise<Store>): Promise<Store> {
    attempt.then(
      (store) => {
        if (this.#closed) store.close().catch(() => undefined);
        else this.#store = store;
      },
      () => {
        this.#failedAt = now();
      },
    );
    return attempt;
  }
}

/** The namespaces of a cache as its stores have them open: with which options, and by which policy they are ranked. */

import { isPlainObject } from "../codecs/values.ts";
import { resolvePolicy } from "../policy/resolve.ts";
import { isQuiverError } from "../shared/errors.ts";
import { badOption } from "../shared/options.ts";
import { NullStore } from "../stores/null.ts";
import type { NamespaceSettings, StoreNamespace } from "../stores/store.ts";
import type { Source } from "./config-sources.ts";
import type { CacheContext } from "./context.ts";
import type { EvictionTarget } from "./evictor.ts";
import type { Opening } from "./opening.ts";
import { type NamespaceOptions, type ResolvedNamespaceOptions, resolveNamespaceOptions } from "./options.ts";

/** Options that the program has given for a namespace; undefined where it has not asked for it. */
type Given = (name: string) => ResolvedNamespaceOptions | undefined;

export class OpenNamespaces {
  readonly #opening: Opening;
  readonly #context: CacheContext;
  readonly #given: Given;
  readonly #opened = new Map<string, EvictionTarget>();
  /** Where the entries of namespaces go that are not enabled. */
  readonly #off = new NullStore();

  constructor(opening: Opening, context: CacheContext, given: Given) {
    this.#opening = opening;
    this.#context = context;
    this.#given = given;
  }

  /** Those that have been opened, with what eviction needs of each. */
  get targets(): readonly EvictionTarget[] {
    return [...this.#opened.values()];
  }

  /** The namespace if it has been opened. */
  get(name: string): StoreNamespace | undefined {
    return this.#opened.get(name)?.namespace;
  }

  /** A namespace's options from all places. Throws ERR_QUIVER_BAD_OPTION and ERR_QUIVER_CODEC_UNKNOWN. */
  resolve(name: string, options: NamespaceOptions): ResolvedNamespaceOptions {
    if (!isPlainObject(options)) throw badOption("options", options, "an object");
    const call: Source = { kind: "code", values: options as Record<string, unknown>, placeOf: () => "" };
    const sources = [call, ...this.#opening.namespaceSources(name)];
    const resolved = resolveNamespaceOptions(name, sources, this.#context.options);
    if (resolved.codec !== null) this.#context.codecs.resolve(resolved.codec);
    return resolved;
  }

  /** Opens it in its stores. The cache's policy and its defaults go to new namespaces; those that exist keep what they have recorded. */
  async open(name: string, settings: Partial<NamespaceSettings>): Promise<StoreNamespace> {
    const { router, options, namespaceDefaults } = this.#opening;
    const { reconfigure } = options;
    if (!this.#optionsOf(name).enabled) return this.#off.open(name, settings, { reconfigure: true });
    let opened: StoreNamespace;
    try {
      opened = await router.open(name, {
        eviction: options.eviction.name,
        ...namespaceDefaults,
        ...settings,
      });
    } catch (error) {
      if (!isQuiverError(error, "ERR_QUIVER_SETTINGS_DIFFER")) throw error;
      opened = await router.open(name, settings, { reconfigure });
    }
    this.#opened.set(name, { namespace: opened, policy: this.#policyOf(name, opened.settings.eviction) });
    return opened;
  }

  /** The same with the options that it has from elsewhere than a call. */
  async openByName(name: string): Promise<StoreNamespace> {
    return this.get(name) ?? this.open(name, this.resolve(name, {}).settings);
  }

  /** All there are. */
  async openAll(): Promise<readonly StoreNamespace[]> {
    this.#context.checkOpen();
    const names = await this.#opening.router.names();
    return Promise.all(names.map((name) => this.openByName(name)));
  }

  #optionsOf(name: string): ResolvedNamespaceOptions {
    return this.#given(name) ?? this.resolve(name, {});
  }

  /** The policy that a namespace has recorded; where it is somebody's own and not given here, that of the cache. */
  #policyOf(name: string, recorded: string): EvictionTarget["policy"] {
    const { options, logger } = this.#context;
    const own = this.#optionsOf(name).eviction;
    for (const policy of [own, options.eviction]) if (policy?.name === recorded) return policy;
    try {
      return resolvePolicy(recorded as Parameters<typeof resolvePolicy>[0]);
    } catch {
      logger.warn(
        `namespace "${name}" has the eviction policy "${recorded}", which this program doesn't know`,
      );
      return options.eviction;
    }
  }
}

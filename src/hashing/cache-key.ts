/** Keys that are derived from inputs. */

import { createHash } from "node:crypto";
import { loneSurrogate } from "../codecs/values.ts";
import { checkNamespace } from "../shared/keys.ts";
import { badOption, checkOptions, type OptionNames } from "../shared/options.ts";
import { type ArrayHash, appendCanonical } from "./canonical.ts";
import { Form } from "./form.ts";

/** "text" brings strings into NFC, trims them and makes each run of white space one space; a function is given each input and returns what counts of it. */
export type Normalize = "text" | ((input: unknown) => unknown);

/** How keys are derived. Changing any of them changes the keys. */
export interface CacheKeyOptions {
  /** Part of the key: changing it makes all that is stored under the old one a miss. Printable ASCII without space and colon, up to 64 characters. Default: none. */
  readonly version?: string;
  /** How large arrays among the inputs are hashed: with "sha256" where inputs come from people who might construct two with one sum. Default: "xxh3". */
  readonly hash?: ArrayHash;
  /** Default: inputs count as they are. */
  readonly normalize?: Normalize;
}

export const CACHE_KEY_OPTIONS: OptionNames<CacheKeyOptions> = { version: true, hash: true, normalize: true };

/** The first byte of what is hashed for anything but one string; no UTF-8 text begins so. */
const STRUCTURED = 0xff;
/** Version of the canonical form. */
const FORM_VERSION = 1;

const KEY = /^([A-Za-z0-9][A-Za-z0-9._-]{0,127})(?:@[\x21-\x39\x3b-\x7e]{1,64})?:[0-9a-f]{64}$/;
const VERSION = /^[\x21-\x39\x3b-\x7e]{1,64}$/;

/**
 * `<namespace>:<64 hex>` or `<namespace>@<version>:<64 hex>`. A string is hashed as its bare UTF-8 bytes with SHA-256,
 * so that other languages derive the same key; anything else as its canonical form. Throws ERR_QUIVER_BAD_NAMESPACE,
 * ERR_QUIVER_BAD_OPTION, and ERR_QUIVER_BAD_VALUE for what has no canonical form.
 */
export function cacheKey(namespace: string, input: unknown, options: CacheKeyOptions = {}): string {
  return new KeyMaker(namespace, options).keyOf([input]);
}

/** The namespace that a derived key names; undefined for other keys. */
export function namespaceOfKey(key: string): string | undefined {
  return KEY.exec(key)?.[1];
}

/** Derives keys for one namespace, with the options checked once. */
export class KeyMaker {
  readonly #prefix: string;
  readonly #hash: ArrayHash;
  readonly #normalize: (input: unknown) => unknown;

  constructor(namespace: string, options: CacheKeyOptions) {
    checkNamespace(namespace);
    checkOptions(options, CACHE_KEY_OPTIONS);
    const { version, hash = "xxh3", normalize } = options;
    if (version !== undefined && !(typeof version === "string" && VERSION.test(version))) {
      throw badOption("version", version, "printable ASCII without space and colon, up to 64 characters");
    }
    if (hash !== "xxh3" && hash !== "sha256") throw badOption("hash", hash, '"xxh3" or "sha256"');
    this.#prefix = version === undefined ? namespace : `${namespace}@${version}`;
    this.#hash = hash;
    this.#normalize = normalizerOf(normalize);
  }

  /** What the keys begin with, colon included. */
  get prefix(): string {
    return `${this.#prefix}:`;
  }

  /** The key of a call's arguments. `dependencies` are digests of what else the result depends on. */
  keyOf(inputs: readonly unknown[], dependencies: readonly string[] = []): string {
    return `${this.#prefix}:${this.#digest(inputs.map(this.#normalize), dependencies)}`;
  }

  #digest(inputs: readonly unknown[], dependencies: readonly string[]): string {
    const [first] = inputs;
    const hash = createHash("sha256");
    if (
      inputs.length === 1 &&
      dependencies.length === 0 &&
      typeof first === "string" &&
      loneSurrogate(first) < 0
    ) {
      return hash.update(first).digest("hex");
    }
    const form = new Form();
    form.byte(STRUCTURED);
    form.byte(FORM_VERSION);
    form.count(inputs.length);
    for (const [index, input] of inputs.entries()) {
      appendCanonical(form, input, inputs.length === 1 ? "the input" : `argument ${index}`, this.#hash);
    }
    for (const dependency of dependencies) form.text(dependency);
    return hash.update(form.bytes).digest("hex");
  }
}

function normalizerOf(normalize: Normalize | undefined): (input: unknown) => unknown {
  if (normalize === undefined) return (input) => input;
  if (normalize === "text") return normalizedText;
  if (typeof normalize === "function") return (input) => normalize(input);
  throw badOption("normalize", normalize, '"text" or a function');
}

function normalizedText(input: unknown): unknown {
  return typeof input === "string" ? input.normalize("NFC").trim().replace(/\s+/gu, " ") : input;
}

/** A task graph whose results are kept, so that a change recomputes only what depends on it. */

import { createHash } from "node:crypto";
import type { Namespace } from "../cache/namespace.ts";
import { checkObject } from "../shared/arguments.ts";
import { QuiverError } from "../shared/errors.ts";
import { checkNamespace } from "./arguments.ts";
import { canonicalJson } from "./canonical-json.ts";

/** A node of the graph. Whatever its result depends on must be among these fields, or change `version`. */
export interface MissionNode {
  /** Nodes whose results `compute` needs. Default: none. */
  readonly inputs?: readonly string[];
  /** A JSON value; the order of an object's fields doesn't matter. Default: none. */
  readonly parameters?: unknown;
  /** Names the code of `compute`, which the graph can't see into: change it when the code changes. Default: "". */
  readonly version?: string;
  /** The result, which must be a value that the namespace's codec holds. Inputs are shared and must not be changed. */
  readonly compute: (inputs: Readonly<Record<string, unknown>>, parameters: unknown) => unknown;
}

/** What became of one run. */
export interface MissionRun<T = unknown> {
  readonly value: T;
  /** Nodes that were computed, in the order in which they were finished. */
  readonly computed: readonly string[];
  /** Nodes whose stored results were still good. */
  readonly reused: readonly string[];
}

/**
 * A directed acyclic graph of computations. A node's result is stored under its name and a SHA-256 of its name,
 * version, parameters and the digests of its inputs' results; a changed node therefore recomputes itself and what
 * hangs below it, and where its new result equals the old one, itself alone. Results that became unreachable stay
 * until they expire or are evicted.
 */
export class MissionGraph {
  readonly #results: Namespace;
  readonly #nodes: ReadonlyMap<string, MissionNode>;

  /** Throws ERR_QUIVER_BAD_OPTION for inputs that aren't nodes, for cycles and for parameters that aren't JSON. */
  constructor(results: Namespace, nodes: Readonly<Record<string, MissionNode>>) {
    checkNamespace("results", results);
    checkObject("the graph", nodes);
    this.#results = results;
    this.#nodes = new Map(Object.entries(nodes));
    for (const [name, node] of this.#nodes) checkObject(`node ${name}`, node);
    for (const { parameters } of this.#nodes.values()) canonicalJson(parameters ?? null);
    refuseCycles(this.#nodes);
  }

  /**
   * The result of a node, computing what is missing; inputs that don't depend on each other side by side. Rejects
   * with what a computation throws; results that were finished before stay. Throws ERR_QUIVER_NOT_FOUND for an
   * unknown node.
   */
  async run<T = unknown>(name: string): Promise<MissionRun<T>> {
    if (!this.#nodes.has(name)) {
      throw new QuiverError("ERR_QUIVER_NOT_FOUND", `the mission graph has no node "${name}"`, {
        fix: `Its nodes are ${[...this.#nodes.keys()].join(", ")}.`,
      });
    }
    const run = new Run(this.#results, this.#nodes);
    const { value } = await run.result(name);
    return { value: value as T, computed: [...run.computed], reused: run.reused() };
  }
}

/** A result's identity: where it is stored, and what the nodes that use it are keyed by. */
interface Identity {
  readonly key: string;
  readonly digest: string;
}

/** Everything that one run has found out; each node is asked once. */
class Run {
  readonly computed = new Set<string>();
  readonly #results: Namespace;
  readonly #nodes: ReadonlyMap<string, MissionNode>;
  readonly #identities = new Map<string, Promise<Identity>>();
  readonly #values = new Map<string, Promise<unknown>>();

  constructor(results: Namespace, nodes: ReadonlyMap<string, MissionNode>) {
    this.#results = results;
    this.#nodes = nodes;
  }

  async result(name: string): Promise<{ readonly value: unknown }> {
    const { key } = await this.#identify(name);
    return { value: await this.#load(name, key) };
  }

  /** Nodes that were looked up and needed no computing. */
  reused(): readonly string[] {
    return [...this.#identities.keys()].filter((name) => !this.computed.has(name));
  }

  /** Finds a node's result or computes it. A stored one costs a look at its facts, not at its value. */
  #identify(name: string): Promise<Identity> {
    return once(this.#identities, name, async () => {
      const { inputs = [], parameters = null, version = "" } = this.#node(name);
      const digests = await Promise.all(inputs.map(async (input) => (await this.#identify(input)).digest));
      const identity = canonicalJson({ name, version, parameters, inputs: digests });
      const key = `${name}-${createHash("sha256").update(identity).digest("hex")}`;
      let facts = await this.#results.info(key);
      if (facts === undefined) {
        await this.#load(name, key);
        facts = await this.#results.info(key);
      }
      // A result that could not be stored is known by how it was made, which is as good a name for it.
      return { key, digest: facts?.digest ?? key };
    });
  }

  #load(name: string, key: string): Promise<unknown> {
    return once(this.#values, name, () =>
      this.#results.getOrCompute(key, async () => {
        const { inputs = [], parameters, compute } = this.#node(name);
        const values = await Promise.all(
          inputs.map(async (input) => [input, (await this.result(input)).value] as const),
        );
        const value = await compute(Object.fromEntries(values), parameters);
        this.computed.add(name);
        return value;
      }),
    );
  }

  #node(name: string): MissionNode {
    return this.#nodes.get(name) as MissionNode;
  }
}

function once<T>(made: Map<string, Promise<T>>, name: string, make: () => Promise<T>): Promise<T> {
  const known = made.get(name);
  if (known !== undefined) return known;
  const promise = make();
  made.set(name, promise);
  return promise;
}

/** Depth first over the inputs; a node that is met again on its own path closes a cycle. */
function refuseCycles(nodes: ReadonlyMap<string, MissionNode>): void {
  const checked = new Set<string>();
  const visit = (name: string, path: readonly string[]): void => {
    const node = nodes.get(name);
    if (node === undefined) {
      throw new QuiverError(
        "ERR_QUIVER_BAD_OPTION",
        `"${path.at(-1)}" has the input "${name}", which is no node`,
        {
          fix: "Add the node, or correct the input's name.",
        },
      );
    }
    if (path.includes(name)) {
      const cycle = [...path.slice(path.indexOf(name)), name];
      throw new QuiverError("ERR_QUIVER_BAD_OPTION", `the mission graph has a cycle: ${cycle.join(" <- ")}`, {
        hint: "A node's result can't depend on itself.",
        fix: "Take one of these inputs away.",
      });
    }
    if (checked.has(name)) return;
    for (const input of node.inputs ?? []) visit(input, [...path, name]);
    checked.add(name);
  };
  for (const name of nodes.keys()) visit(name, []);
}

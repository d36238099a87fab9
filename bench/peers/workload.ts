/** What a workload is: steps for the processes of every peer, and how Node does them. */

import type { Blobs, Durability, Outcome, Peer, Place, Step } from "./contract.ts";

/** How much is done. */
export interface Scale {
  readonly name: "tiny" | "short" | "full";
  readonly rounds: number;
  /** Milliseconds for a figure. */
  readonly time: number;
  /** The same for writes: in full, long enough for stores to overwrite what they have, and for what a disk does now and then. */
  readonly writeTime: number;
}

export interface Workload {
  readonly name: string;
  readonly title: string;
  /** What a reader must know to judge the figures. */
  readonly notes: readonly string[];
  /** Who takes part; the short form takes `main`. */
  readonly peers: readonly string[];
  readonly main: readonly string[];
  /** Processes that fill a peer's folder and show what is in it; run once. */
  prepare(scale: Scale, peer: string): readonly (readonly Step[])[];
  /** The processes of a round, one after the other. */
  round(scale: Scale, peer: string): readonly (readonly Step[])[];
  readonly operations: Readonly<Record<string, Operation>>;
}

/** Does a step; undefined when the peer can't. */
export type Operation = (context: Context, step: Step) => Promise<Partial<Outcome> | undefined>;

/** One process of one peer. */
export interface Context {
  readonly peer: Peer;
  readonly folder: string;
  readonly round: number;
  /** What was opened stays open until the process ends. */
  opened<T extends { close(): unknown }>(name: string, open: () => Promise<T> | T): Promise<T>;
  /** Closes everything. */
  close(): Promise<void>;
}

/** One figure, where the step says that it stands. */
export function figure(step: Step, value: number, detail: Partial<Place> = {}): Partial<Outcome> {
  const place = placeOf(step);
  return { figures: [{ ...place, ...detail, value }] };
}

export function placeOf(step: Step): Place {
  if (step.place === undefined) throw new Error(`the step ${step.op} has no place`);
  return step.place;
}

/** The parameter of a step that must be there. */
export function given<Name extends keyof Step>(step: Step, name: Name): NonNullable<Step[Name]> {
  const value = step[name];
  if (value === undefined) throw new Error(`the step ${step.op} has no ${name}`);
  return value as NonNullable<Step[Name]>;
}

/** The peer's blobs with that durability, or the one it reads with; undefined when it has none. */
export async function blobsOf(context: Context, durability?: Durability): Promise<Blobs | undefined> {
  const { peer, folder } = context;
  const promise = durability ?? readingDurability(peer);
  if (peer.blobs === undefined || (durability !== undefined && peer.durability[durability] === undefined)) {
    return undefined;
  }
  const open = peer.blobs.bind(peer);
  return context.opened(`blobs ${promise}`, () => open(folder, promise));
}

/** What is read was written with the cheaper promise, where there is a choice. */
function readingDurability({ durability }: Peer): Durability {
  return durability.process === undefined && durability.full !== undefined ? "full" : "process";
}

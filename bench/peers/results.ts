/** What a race gives. */

import type { Answer, Layout, Place } from "./contract.ts";

export interface Entrant {
  readonly name: string;
  readonly layout: Layout;
  readonly durability: Answer["durability"];
  readonly version: string;
}

/** One figure of one peer over all rounds. */
export interface Series extends Place {
  readonly peer: string;
  readonly samples: readonly number[];
}

export interface RaceResult {
  readonly workload: string;
  readonly title: string;
  /** The load average of the last minute, before. */
  readonly load: number;
  readonly notes: readonly string[];
  readonly entrants: readonly Entrant[];
  readonly series: readonly Series[];
  /** Peers that don't appear, with the reason. */
  readonly absent: readonly { readonly peer: string; readonly why: string }[];
}

/**
 * Races the peers over one workload. Every peer has a folder of its own, which is filled once; what it reads back
 * must be what all others read. Then in every round each peer has its turn, in processes of its own, another one
 * first each time, so that whatever else the machine does meets all of them. What the one before left unwritten is on
 * the disk by then: a peer that syncs nothing would leave its work to the next.
 */

import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Figure, Place, Step } from "./contract.ts";
import { load } from "./machine.ts";
import { writeOut } from "./page-cache.ts";
import { isHere, runJob } from "./process.ts";
import type { Entrant, RaceResult, Series } from "./results.ts";
import type { Scale, Workload } from "./workload.ts";

/** Runs all of it inside `home`, which is emptied before and after. Throws when the peers read different things. */
export async function race(
  workload: Workload,
  scale: Scale,
  peers: readonly string[],
  home: string,
): Promise<RaceResult> {
  rmSync(home, { recursive: true, force: true });
  const before = load();
  const absent: { peer: string; why: string }[] = [];
  const entrants = new Map<string, Entrant>();
  /** By the steps of a process, because not everybody is given everything, what each peer read in the last one. */
  const seen = new Map<string, Map<string, string>>();
  const figures = new Map<string, Figure[]>();
  let running = peers.filter((peer) => {
    if (!isHere(peer)) absent.push({ peer, why: "not installed" });
    return isHere(peer);
  });

  /** The processes of one peer, one after the other; a peer that fails is out of the race. */
  const take = async (
    peer: string,
    round: number,
    processes: readonly (readonly Step[])[],
  ): Promise<void> => {
    const folder = join(home, peer.replace(/[^a-z0-9-]+/g, "-"));
    mkdirSync(folder, { recursive: true });
    try {
      for (const steps of processes) {
        writeOut();
        const {
          figures: found,
          seen: read,
          ...facts
        } = await runJob({
          workload: workload.name,
          peer,
          folder,
          round,
          steps,
        });
        entrants.set(peer, { name: peer, ...facts });
        figures.set(peer, [...(figures.get(peer) ?? []), ...found]);
        if (read.length > 0) {
          const id = JSON.stringify(steps);
          seen.set(id, (seen.get(id) ?? new Map()).set(peer, read.join(" ")));
        }
      }
    } catch (error) {
      absent.push({ peer, why: error instanceof Error ? error.message : String(error) });
      console.error(absent.at(-1)?.why);
      running = running.filter((other) => other !== peer);
      figures.delete(peer);
      entrants.delete(peer);
    }
  };

  for (const peer of running) await take(peer, 0, workload.prepare(scale, peer));
  checkEqual(workload.name, seen);
  for (let round = 1; round <= scale.rounds; round++) {
    console.error(`  round ${round} of ${scale.rounds}`);
    const order = running.map((_, index) => running[(index + round) % running.length] as string);
    for (const peer of order) await take(peer, round, workload.round(scale, peer));
  }
  checkEqual(workload.name, seen);
  rmSync(home, { recursive: true, force: true });
  const { name, title, notes } = workload;
  const inOrder = peers.flatMap((peer) => entrants.get(peer) ?? []);
  const series = seriesOf(inOrder, figures);
  return { workload: name, title, load: before, notes, entrants: inOrder, series, absent };
}

function checkEqual(workload: string, seen: ReadonlyMap<string, ReadonlyMap<string, string>>): void {
  for (const byPeer of seen.values()) {
    if (new Set(byPeer.values()).size <= 1) continue;
    const lines = [...byPeer].map(([peer, digests]) => `  ${peer}: ${digests}`);
    throw new Error(`the peers read different things in ${workload}:\n${lines.join("\n")}`);
  }
}

function seriesOf(
  entrants: readonly Entrant[],
  figures: ReadonlyMap<string, readonly Figure[]>,
): readonly Series[] {
  const series = new Map<string, Place & { peer: string; samples: number[] }>();
  for (const { name: peer } of entrants) {
    for (const { table, column, unit, value } of figures.get(peer) ?? []) {
      const id = JSON.stringify([peer, table, column]);
      const found = series.get(id) ?? { peer, table, column, unit, samples: [] };
      found.samples.push(value);
      series.set(id, found);
    }
  }
  return [...series.values()];
}

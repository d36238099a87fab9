/** A race: one workload, run by Quiver and its rivals in turns, so that what else the machine does hits all alike. */

import { Bench } from "tinybench";

/** Who takes part: this package, plain files, and lmdb from npm. */
export type Name = "quiver" | "fs" | "lmdb";

export const NAMES: readonly Name[] = ["quiver", "fs", "lmdb"];

/** Runs the workload a number of times in one call, so that the call itself costs nothing. */
export interface Contender {
  /** How often one call of `run` does what is measured. */
  readonly operations: number;
  readonly run: () => unknown;
}

export interface Race {
  readonly title: string;
  readonly contenders: Readonly<Partial<Record<Name, Contender>>>;
  /** Throws unless all contenders give the same; runs before anything is timed. */
  readonly check: () => void | Promise<void>;
}

/** What one contender did, in operations a second over the rounds. */
export interface Rate {
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
}

export interface Result {
  readonly title: string;
  readonly rates: Readonly<Partial<Record<Name, Rate>>>;
}

/** Rounds of a race, each contender once a round, and the milliseconds it then has. */
export interface Length {
  readonly rounds: number;
  readonly time: number;
}

export async function run(race: Race, { rounds, time }: Length): Promise<Result> {
  await race.check();
  const samples = new Map<Name, number[]>();
  for (let round = 0; round < rounds; round++) {
    for (const name of turns(race, round)) {
      const contender = race.contenders[name] as Contender;
      samples.set(name, [...(samples.get(name) ?? []), await measure(contender, time)]);
    }
  }
  return {
    title: race.title,
    rates: Object.fromEntries([...samples].map(([name, all]) => [name, rateOf(all)])),
  };
}

/** The middle of some numbers and their extremes. */
export function rateOf(samples: readonly number[]): Rate {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (index: number): number => sorted[index] as number;
  return { median: at(sorted.length >> 1), lowest: at(0), highest: at(sorted.length - 1) };
}

/** Every round begins with another contender. */
function turns(race: Race, round: number): readonly Name[] {
  const names = NAMES.filter((name) => race.contenders[name] !== undefined);
  return names.map((_, index) => names[(index + round) % names.length] as Name);
}

async function measure(contender: Contender, time: number): Promise<number> {
  const bench = new Bench({ time, iterations: 3, warmupTime: time / 4, warmupIterations: 1, throws: true });
  bench.add("run", contender.run);
  const [task] = await bench.run();
  if (task?.result.state !== "completed") throw new Error(`a task ended as ${task?.result.state}`);
  return (contender.operations * 1000) / task.result.latency.mean;
}

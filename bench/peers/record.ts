/** Writes results into the documents: everything into bench/README.md, the main table and its plot into README.md. */

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Ceiling } from "./ceilings.ts";
import type { Machine } from "./machine.ts";
import { markdownTable, sectionOf, short, spread } from "./report.ts";
import type { RaceResult } from "./results.ts";
import type { Scale } from "./workload.ts";

export interface RaceRecord extends Machine {
  readonly scale: Scale;
  readonly ceilings: readonly Ceiling[];
  readonly races: readonly RaceResult[];
}

export function documentOf(record: RaceRecord): { readonly head: string; readonly ceilings: string } {
  return { head: headOf(record), ceilings: ceilingsOf(record.ceilings) };
}

export function writeRecord(record: RaceRecord): void {
  const { head, ceilings } = documentOf(record);
  const sections = record.races.map(sectionOf);
  replaceIn(
    "bench/README.md",
    "the peers",
    [head, `### What the machine can do\n\n${ceilings}`, ...sections].join("\n\n"),
  );
}

/** When, on what, with which versions, and how busy the machine was. */
export function headOf({
  date,
  node,
  system,
  processor,
  cores,
  memory,
  load,
  version,
  scale,
  races,
}: RaceRecord): string {
  const versions = new Map(races.flatMap(({ entrants }) => entrants.map((one) => [one.name, one.version])));
  const named = [...versions].filter(([, its]) => its !== "").map(([name, its]) => `${name} ${its}`);
  return [
    `${date}, medians of ${scale.rounds} rounds with lowest and highest in brackets, in bold how many times better Quiver is`,
    `Node ${node}, ${system}, ${cores} cores of ${processor}, ${Math.round(memory / 2 ** 30)} GB, load average ${load.toFixed(1)} before`,
    `quiver-cache ${version}; ${[...new Set(named)].join(", ")}.`,
  ].join("; ");
}

function ceilingsOf(ceilings: readonly Ceiling[]): string {
  const lines = ceilings.map(({ title, unit, samples }) => {
    const { low, median, high } = spread(samples);
    return [title, unit, short(median), `${short(low)} to ${short(high)}`];
  });
  return markdownTable(["ceiling", "unit", "median", "lowest to highest"], lines);
}

/** Replaces what stands between the marks of `name` in a file of the repository. */
function replaceIn(file: string, name: string, text: string): void {
  const path = fileURLToPath(new URL(`../../../${file}`, import.meta.url));
  const [begin, end] = [`<!-- begin of ${name} -->`, `<!-- end of ${name} -->`];
  const whole = readFileSync(path, "utf8");
  const [from, to] = [whole.indexOf(begin), whole.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${file} has no marks for ${name}`);
  writeFileSync(path, `${whole.slice(0, from + begin.length)}\n${text}\n${whole.slice(to)}`);
}

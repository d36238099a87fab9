/** Writes results into the documents: everything into bench/README.md, the main table into README.md, its plot into docs. */

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Ceiling } from "./ceilings.ts";
import { HEADLINE_PEERS, HEADLINES } from "./headlines.ts";
import type { Machine } from "./machine.ts";
import { type HeadlineFigures, headlinesOf, plot } from "./plot.ts";
import { markdownTable, ratio, sectionOf, short, spread } from "./report.ts";
import type { RaceResult } from "./results.ts";
import type { Scale } from "./workload.ts";

export interface RaceRecord extends Machine {
  readonly scale: Scale;
  readonly ceilings: readonly Ceiling[];
  readonly races: readonly RaceResult[];
}

export function writeRecord(record: RaceRecord): void {
  const limits = `### What the machine can do\n\n${ceilingsOf(record.ceilings)}`;
  const whole = [headOf(record), limits, ...record.races.map(sectionOf)].join("\n\n");
  replaceIn("bench/README.md", "the peers", whole);
  const figures = headlinesOf(HEADLINES, record.races, HEADLINE_PEERS);
  replaceIn("README.md", "the ratios", shortTable(record, figures));
  writeFileSync(pathOf("docs/peers.svg"), plot(figures, HEADLINE_PEERS));
}

/** By what factor Quiver is better than each of a few peers. */
function shortTable(
  { date, processor, cores, scale }: RaceRecord,
  figures: readonly HeadlineFigures[],
): string {
  const lines = figures.map(({ title, unit, ours, peers }) => [
    title,
    `${short(ours)}${unit === "/s" ? "" : " "}${unit}`,
    ...HEADLINE_PEERS.map((name) => {
      const found = peers.find((peer) => peer.name === name);
      return found === undefined ? "" : ratio(found.factor);
    }),
  ]);
  const head = ["", "Quiver", ...HEADLINE_PEERS.map((name) => `against ${name}`)];
  const caption = `How many times better Quiver is; below 1 it is worse. ${date}, medians of ${scale.rounds} interleaved rounds, ${cores} cores of ${processor}, shared with other work.`;
  return `${caption}\n\n${markdownTable(head, lines)}`;
}

/** When, on what, with which versions, and how busy the machine was. */
function headOf({ date, node, system, processor, cores, memory, version, scale, races }: RaceRecord): string {
  const versions = new Map(races.flatMap(({ entrants }) => entrants.map((one) => [one.name, one.version])));
  const { low, high } = spread(races.map(({ load }) => load));
  const named = [...versions].filter(([, its]) => its !== "").map(([name, its]) => `${name} ${its}`);
  return [
    `${date}, medians of ${scale.rounds} rounds with lowest and highest in brackets, in bold how many times better Quiver is`,
    `Node ${node}, ${system}, ${cores} cores of ${processor}, ${Math.round(memory / 2 ** 30)} GB, load average ${low.toFixed(1)} to ${high.toFixed(1)} before the races`,
    `quiver-cache ${version}; ${[...new Set(named)].join(", ")}.`,
  ].join("; ");
}

/** What the machine can do, as a table. */
export function ceilingsOf(ceilings: readonly Ceiling[]): string {
  const lines = ceilings.map(({ title, unit, samples }) => {
    const { low, median, high } = spread(samples);
    return [title, unit, short(median), `${short(low)} to ${short(high)}`];
  });
  return markdownTable(["ceiling", "unit", "median", "lowest to highest"], lines);
}

/** Replaces what stands between the marks of `name` in a file of the repository. */
function replaceIn(file: string, name: string, text: string): void {
  const path = pathOf(file);
  const [begin, end] = [`<!-- begin of ${name} -->`, `<!-- end of ${name} -->`];
  const whole = readFileSync(path, "utf8");
  const [from, to] = [whole.indexOf(begin), whole.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${file} has no marks for ${name}`);
  writeFileSync(path, `${whole.slice(0, from + begin.length)}\n${text}\n${whole.slice(to)}`);
}

function pathOf(file: string): string {
  return fileURLToPath(new URL(`../../../${file}`, import.meta.url));
}

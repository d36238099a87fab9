/** A bar chart as SVG: how many times better Quiver is, on a logarithmic scale, a bar for each peer and workload. */

import type { Unit } from "./contract.ts";
import { advantage, OURS, ratio, spread } from "./report.ts";
import type { RaceResult, Series } from "./results.ts";

/** One figure that stands in the short table and in the plot. */
export interface Headline {
  readonly title: string;
  readonly workload: string;
  readonly table: string;
  readonly column: string;
}

export interface HeadlineFigures {
  readonly title: string;
  readonly unit: Unit;
  readonly ours: number;
  /** The peers that have the figure, and how many times better Quiver is than each. */
  readonly peers: readonly { readonly name: string; readonly value: number; readonly factor: number }[];
}

/** The headlines that were measured, with the peers that are named. */
export function headlinesOf(
  headlines: readonly Headline[],
  races: readonly RaceResult[],
  names: readonly string[],
): readonly HeadlineFigures[] {
  return headlines.flatMap(({ title, workload, table, column }) => {
    const series = (races.find((one) => one.workload === workload)?.series ?? []).filter(
      (one) => one.table === table && one.column === column,
    );
    const ours = series.find(({ peer }) => peer === OURS);
    if (ours === undefined) return [];
    const median = medianOf(ours);
    const peers = names.flatMap((name) => {
      const theirs = series.find(({ peer }) => peer === name);
      if (theirs === undefined) return [];
      const value = medianOf(theirs);
      return [{ name, value, factor: advantage(median, value, ours.unit) }];
    });
    return [{ title, unit: ours.unit, ours: median, peers }];
  });
}

function medianOf({ samples }: Series): number {
  return spread(samples).median;
}

const WIDTH = 860;
const LEFT = 300;
const RIGHT = 90;
const BAR = 12;
const GAP = 14;
const TOP = 58;

/** Told apart in print as well: they differ in lightness. */
const COLOURS = ["#1b4965", "#ca6702", "#5fa8d3", "#94a187", "#ee9b00", "#ae2012"] as const;

/** Bars to the right of the line at 1 are Quiver's lead, to the left its lag. */
export function plot(figures: readonly HeadlineFigures[], names: readonly string[]): string {
  const factors = figures.flatMap(({ peers }) => peers.map(({ factor }) => factor));
  const low = Math.min(-1, Math.floor(Math.log10(Math.min(1, ...factors))));
  const high = Math.max(1, Math.ceil(Math.log10(Math.max(1, ...factors))));
  const scale = (WIDTH - LEFT - RIGHT) / (high - low);
  const xOf = (factor: number): number => LEFT + (Math.log10(factor) - low) * scale;
  const colourOf = (name: string): string => COLOURS[names.indexOf(name) % COLOURS.length] as string;
  const parts: string[] = [];
  let y = TOP;
  for (const { title, peers } of figures) {
    const middle = y + (peers.length * BAR) / 2 + 4;
    parts.push(text(LEFT - 10, middle, escaped(title), "end"));
    for (const { name, factor } of peers) {
      const [from, to] = factor >= 1 ? [xOf(1), xOf(factor)] : [xOf(factor), xOf(1)];
      const label = `<title>${escaped(`${title}: ${ratio(factor)} ${name}`)}</title>`;
      parts.push(
        `<rect x="${round(from)}" y="${y}" width="${round(Math.max(1, to - from))}" height="${BAR - 2}" fill="${colourOf(name)}">${label}</rect>`,
        text(factor >= 1 ? to + 4 : from - 4, y + BAR - 3, ratio(factor), factor >= 1 ? "start" : "end", 9),
      );
      y += BAR;
    }
    y += GAP;
  }
  const lines = Array.from({ length: high - low + 1 }, (_, index) => {
    const power = low + index;
    const x = round(LEFT + index * scale);
    const strong = power === 0 ? ' stroke-width="2" stroke="#555"' : ' stroke="#ccc"';
    return `<line x1="${x}" y1="${TOP - 10}" x2="${x}" y2="${y}"${strong}/>${text(x, TOP - 14, ratio(10 ** power), "middle", 10)}`;
  });
  const legend = names.map((name, index) => {
    const x = LEFT + index * 105;
    return `<rect x="${x}" y="12" width="10" height="10" fill="${colourOf(name)}"/>${text(x + 15, 21, escaped(name), "start", 11)}`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y + 6}" font-family="sans-serif">`,
    "<title>How many times better Quiver is than its peers</title>",
    `<rect width="${WIDTH}" height="${y + 6}" fill="#fff"/>`,
    text(10, 21, "Quiver is better by", "start", 12),
    ...legend,
    ...lines,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

function text(x: number, y: number, content: string, anchor: string, size = 12): string {
  return `<text x="${round(x)}" y="${round(y)}" font-size="${size}" text-anchor="${anchor}" fill="#222">${content}</text>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

/** Results as Markdown: a table for each kind of operation, a peer a line, with the ratio to Quiver in every cell. */

import type { Unit } from "./contract.ts";
import type { Entrant, RaceResult, Series } from "./results.ts";

/** Whose figures the others are compared with. */
export const OURS = "quiver";

/** All tables of a race. */
export function sectionOf({ title, notes, entrants, series, absent }: RaceResult): string {
  const tables = [...new Set(series.map(({ table }) => table))].map((table) => {
    const own = series.filter((one) => one.table === table);
    return `**${table}**\n\n${tableOf(own, entrants)}`;
  });
  const missing = absent.map(({ peer, why }) => `- \`${peer}\` is missing: ${why.split("\n")[0]}`);
  return [`### ${title}`, notes.map((note) => `- ${note}`).join("\n"), ...tables, missing.join("\n")]
    .filter((part) => part !== "")
    .join("\n\n");
}

/** Middle, lowest and highest of some samples. */
export function spread(samples: readonly number[]): { low: number; median: number; high: number } {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  return { low: at(0), median: at(sorted.length >> 1), high: at(sorted.length - 1) };
}

/** How many times better the first figure is than the second; below 1 when it is worse. */
export function advantage(ours: number, theirs: number, unit: Unit): number {
  return higherIsBetter(unit) ? ours / theirs : theirs / ours;
}

export function higherIsBetter(unit: Unit): boolean {
  return unit.endsWith("/s");
}

function tableOf(series: readonly Series[], entrants: readonly Entrant[]): string {
  const columns = [...new Set(series.map(({ column }) => column))];
  const at = (peer: string, column: string): Series | undefined =>
    series.find((one) => one.peer === peer && one.column === column);
  const lines = entrants
    .filter(({ name }) => series.some(({ peer }) => peer === name))
    .map(({ name, layout }) => [
      `\`${name}\``,
      layout,
      ...columns.map((column) => cellOf(at(name, column), at(OURS, column))),
    ]);
  const unitOf = (column: string): string => series.find((one) => one.column === column)?.unit ?? "";
  const heads = columns.map((column) => `${column}, ${unitOf(column)}`);
  return markdownTable(["peer", "layout", ...heads], lines);
}

/** A table whose first two columns are text. */
export function markdownTable(head: readonly string[], lines: readonly (readonly string[])[]): string {
  return [head, head.map((_, index) => (index < 2 ? "---" : "---:")), ...lines]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");
}

function cellOf(series: Series | undefined, ours: Series | undefined): string {
  if (series === undefined) return "";
  const { low, median, high } = spread(series.samples);
  const range = series.samples.length > 1 ? ` (${short(low)} to ${short(high)})` : "";
  if (ours === undefined || series.peer === OURS) return `${short(median)}${range}`;
  const factor = advantage(spread(ours.samples).median, median, series.unit);
  if (!Number.isFinite(factor)) return `${short(median)}${range}`;
  return `${short(median)}${range} **${ratio(factor)}**`;
}

/** By what factor Quiver leads, in two digits. */
export function ratio(factor: number): string {
  return `${Number(factor.toPrecision(2)).toLocaleString("en")}x`;
}

/** Three digits and a unit. */
export function short(value: number): string {
  const [scaled, unit] =
    value >= 1e9
      ? [value / 1e9, " G"]
      : value >= 1e6
        ? [value / 1e6, " M"]
        : value >= 1e4
          ? [value / 1e3, " k"]
          : [value, ""];
  return `${Number(scaled.toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 })}${unit}`;
}

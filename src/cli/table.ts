/** Tables that a person reads at a glance: aligned columns, one header line, no borders. */

import { displayWidth, printable, truncate } from "./text.ts";

export interface Column {
  readonly title: string;
  /** Numbers read best aligned to the right. Default: left. */
  readonly align?: "left" | "right";
  /** Gives way when the table is wider than the terminal. */
  readonly flexible?: boolean;
}

const GAP = "  ";
const NARROWEST = 12;

/**
 * Lays out rows below a header, each line ended by a line break. Cells are made printable first. Flexible columns
 * are cut, down to 12 columns each, until a line fits `columns`; pass Infinity to cut nothing.
 */
export function formatTable(
  header: readonly Column[],
  rows: readonly (readonly string[])[],
  columns: number,
): string {
  const cells = [header.map(({ title }) => title), ...rows.map((row) => row.map(printable))];
  const widths = header.map((_, index) => Math.max(...cells.map((row) => displayWidth(row[index] ?? ""))));
  let excess = widths.reduce((sum, width) => sum + width, 0) + GAP.length * (widths.length - 1) - columns;
  for (const [index, { flexible }] of header.entries()) {
    const width = widths[index] ?? 0;
    if (!flexible || excess <= 0 || width <= NARROWEST) continue;
    const cut = Math.min(excess, width - NARROWEST);
    widths[index] = width - cut;
    excess -= cut;
  }
  const line = (row: readonly string[]): string =>
    header
      .map(({ align }, index) => {
        const width = widths[index] ?? 0;
        const text = truncate(row[index] ?? "", width);
        const padding = " ".repeat(width - displayWidth(text));
        return align === "right" ? padding + text : text + padding;
      })
      .join(GAP)
      .trimEnd();
  return `${cells.map(line).join("\n")}\n`;
}

/** Lines of `name  value`, the names padded to one width. */
export function formatFacts(facts: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...facts.map(([name]) => displayWidth(name)));
  return facts
    .map(([name, value]) => `${name}${" ".repeat(width - displayWidth(name))}${GAP}${printable(value)}\n`)
    .join("");
}

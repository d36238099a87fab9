/** Results as Markdown. */

import { readFileSync } from "node:fs";
import { arch, platform, release } from "node:os";
import { NAMES, type Rate, type Result } from "./race.ts";

/** The table: a workload a line, what each contender does, and by what factor Quiver is faster. */
export function table(results: readonly Result[]): string {
  const lines = results.map(({ title, rates }) => {
    const { quiver, fs, lmdb } = rates;
    return [title, ...NAMES.map((name) => pace(rates[name])), factor(quiver, fs), factor(quiver, lmdb)];
  });
  const head = ["workload", ...NAMES, "Quiver / fs", "Quiver / lmdb"];
  return [head, head.map((_, index) => (index === 0 ? "---" : "---:")), ...lines]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");
}

/** When and on what the figures were taken; `load` is the load average before. */
export function record(rounds: number, load: number): string {
  const model = /^model name\s*:\s*(.+)$/m.exec(readText("/proc/cpuinfo"))?.[1] ?? arch();
  const cores = readText("/proc/cpuinfo").match(/^processor/gm)?.length ?? "?";
  const kernel = /^\d+\.\d+/.exec(release())?.[0] ?? "";
  return [
    `${new Date().toISOString().slice(0, 10)}, medians of ${rounds} rounds with lowest and highest in brackets`,
    `Node ${process.versions.node}, ${platform()} ${kernel}, ${cores} cores of ${model}, load average ${load.toFixed(1)} before`,
    `quiver-cache ${versionOf("../../../package.json")}, lmdb ${versionOf("../../../node_modules/lmdb/package.json")}`,
  ].join("; ");
}

function pace(rate: Rate | undefined): string {
  if (rate === undefined) return "";
  return `${short(rate.median)}/s (${short(rate.lowest)} to ${short(rate.highest)})`;
}

function factor(ours: Rate | undefined, theirs: Rate | undefined): string {
  if (ours === undefined || theirs === undefined) return "";
  return `${Number((ours.median / theirs.median).toPrecision(2)).toLocaleString("en")}x`;
}

/** Three digits and a unit. */
function short(value: number): string {
  const [scaled, unit] =
    value >= 1e6 ? [value / 1e6, " M"] : value >= 1e4 ? [value / 1e3, " k"] : [value, ""];
  return `${Number(scaled.toPrecision(3)).toLocaleString("en")}${unit}`;
}

function versionOf(manifest: string): string {
  const { version } = JSON.parse(readText(new URL(manifest, import.meta.url))) as { version: string };
  return version;
}

function readText(path: string | URL): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

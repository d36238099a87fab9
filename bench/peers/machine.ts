/** When and on what figures were taken. */

import { readFileSync } from "node:fs";
import { arch, cpus, loadavg, platform, release, totalmem } from "node:os";

export interface Machine {
  readonly date: string;
  readonly node: string;
  readonly system: string;
  readonly processor: string;
  readonly cores: number;
  readonly memory: number;
  readonly version: string;
}

/** The load average of the last minute. */
export function load(): number {
  return loadavg()[0] ?? Number.NaN;
}

export function machine(): Machine {
  const manifest = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  return {
    date: new Date().toISOString().slice(0, 10),
    node: process.versions.node,
    system: `${platform()} ${/^\d+\.\d+/.exec(release())?.[0] ?? ""}`,
    processor: cpus()[0]?.model ?? arch(),
    cores: cpus().length,
    memory: totalmem(),
    version: (JSON.parse(manifest) as { version: string }).version,
  };
}

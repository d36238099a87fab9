/** What the machine itself can do: no cache is faster than the part of this that it needs. */

import { createHash } from "node:crypto";
import { closeSync, fdatasyncSync, fsyncSync, openSync, rmSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { paceSync } from "./measure.ts";
import type { Scale } from "./workload.ts";

export interface Ceiling {
  readonly title: string;
  readonly unit: "GB/s" | "/s";
  readonly samples: readonly number[];
}

const MEGABYTE = 1024 * 1024;

/** Measures each `scale.rounds` times, in turns. `home` is on the disk that the races use. */
export async function ceilings(home: string, scale: Scale): Promise<readonly Ceiling[]> {
  const megabytes = scale.name === "tiny" ? 4 : 256;
  const bytes = Buffer.alloc(megabytes * MEGABYTE, 7);
  const target = Buffer.alloc(bytes.length);
  const gigabytes = bytes.length / 1e9;
  const path = join(home, "ceiling");
  const measures: readonly [string, Ceiling["unit"], () => number][] = [
    ["copying memory, one thread", "GB/s", () => gigabytes / seconds(() => bytes.copy(target))],
    [
      "SHA-256, one thread",
      "GB/s",
      () => gigabytes / seconds(() => createHash("sha256").update(bytes).digest()),
    ],
    [
      "writing a file from first to last, then fsync",
      "GB/s",
      () => gigabytes / seconds(() => write(path, bytes)),
    ],
    ["writing 4 KB and fdatasync, one after the other", "/s", () => syncRate(path, scale.time)],
    ["a call of an N-API function that does nothing", "/s", () => callRate(scale.time)],
  ];
  const samples = measures.map((): number[] => []);
  for (let round = 0; round < scale.rounds; round++) {
    for (const [index, [, , measure]] of measures.entries()) samples[index]?.push(measure());
  }
  rmSync(path, { force: true });
  return measures.map(([title, unit], index) => ({ title, unit, samples: samples[index] ?? [] }));
}

function seconds(run: () => unknown): number {
  const start = performance.now();
  run();
  return (performance.now() - start) / 1000;
}

function write(path: string, bytes: Uint8Array): void {
  const file = openSync(path, "w");
  for (let at = 0; at < bytes.length; at += MEGABYTE) writeSync(file, bytes, at, MEGABYTE);
  fsyncSync(file);
  closeSync(file);
}

/** Over a file that is there in full, as every log and B-tree that is durable does it at best. */
function syncRate(path: string, milliseconds: number): number {
  const page = Buffer.alloc(4096, 1);
  const file = openSync(path, "r+");
  const rate = paceSync((turn) => {
    writeSync(file, page, 0, page.length, (turn % 256) * page.length);
    fdatasyncSync(file);
  }, milliseconds * 4);
  closeSync(file);
  return rate;
}

/** The add-on's smallest function reads a number. */
function callRate(milliseconds: number): number {
  const addon = createRequire(import.meta.url)("../../../dist/native/quiver.node") as {
    readonly Crc32: new () => { readonly value: number };
  };
  const sum = new addon.Crc32();
  return paceSync(() => sum.value, milliseconds);
}

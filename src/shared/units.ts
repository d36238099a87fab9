/** Sizes and durations as people write them. */

import { badOption } from "./options.ts";

/** Bytes, or a number with a unit: "512MB", "10 GiB", "1.5GB". Units are powers of 1024. */
export type Size = number | string;

/** Milliseconds, or a number with a unit: "500ms", "30s", "30m", "1.5h", "7d", "2w". */
export type Duration = number | string;

const SIZE_UNITS: readonly (readonly [unit: string, bytes: number])[] = [
  ["TB", 1024 ** 4],
  ["GB", 1024 ** 3],
  ["MB", 1024 ** 2],
  ["KB", 1024],
  ["B", 1],
];

const DURATION_UNITS: readonly (readonly [unit: string, milliseconds: number])[] = [
  ["w", 604_800_000],
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
  ["ms", 1],
];

const AMOUNT = /^(\d+(?:\.\d+)?|\.\d+)\s*([A-Za-z]*)$/;

function parseAmount(text: string, unitOf: (name: string) => number | undefined): number | undefined {
  const match = AMOUNT.exec(text.trim());
  if (match === null) return undefined;
  const unit = unitOf(match[2] ?? "");
  return unit === undefined ? undefined : Math.round(Number(match[1]) * unit);
}

function sizeUnit(name: string): number | undefined {
  if (name === "") return 1;
  const plain = name.toUpperCase().replace(/^([KMGT])(?:IB)?$/, "$1B");
  return SIZE_UNITS.find(([unit]) => unit === plain)?.[1];
}

function durationUnit(name: string): number | undefined {
  if (name === "") return 1;
  return DURATION_UNITS.find(([unit]) => unit === name.toLowerCase())?.[1];
}

/**
 * A size in whole bytes. Throws ERR_QUIVER_BAD_OPTION for anything negative, not a number, unknown or beyond
 * 2^53 - 1. `option` is the name to blame in the message.
 */
export function parseSize(size: Size, option = "size"): number {
  const bytes = typeof size === "string" ? parseAmount(size, sizeUnit) : size;
  if (bytes === undefined || !Number.isSafeInteger(bytes) || bytes < 0) {
    throw badOption(option, size, 'a number of bytes or a size such as "512MB" or "10GB"');
  }
  return bytes;
}

/**
 * A duration in whole milliseconds; null stays null and means "for ever". Throws ERR_QUIVER_BAD_OPTION for
 * anything negative, not a number, unknown or beyond 2^53 - 1. `option` is the name to blame in the message.
 */
export function parseDuration(duration: Duration, option?: string): number;
export function parseDuration(duration: Duration | null, option?: string): number | null;
export function parseDuration(duration: Duration | null, option = "duration"): number | null {
  if (duration === null) return null;
  const milliseconds =
    typeof duration === "string" ? parseAmount(duration, durationUnit) : Math.round(duration);
  if (milliseconds === undefined || !Number.isSafeInteger(milliseconds) || milliseconds < 0) {
    throw badOption(option, duration, 'a number of milliseconds or a duration such as "30m", "2h" or "7d"');
  }
  return milliseconds;
}

/** Bytes for people, at most one decimal: `1.5 MB`, `17 B`. */
export function formatSize(bytes: number): string {
  for (const [unit, scale] of SIZE_UNITS) {
    if (bytes >= scale && scale > 1) return `${formatNumber(bytes / scale)} ${unit}`;
  }
  return `${bytes} B`;
}

/** Milliseconds for people, at most one decimal: `1.5 h`, `320 ms`; null is `for ever`. */
export function formatDuration(milliseconds: number | null): string {
  if (milliseconds === null) return "for ever";
  for (const [unit, scale] of DURATION_UNITS) {
    if (unit !== "w" && milliseconds >= scale) return `${formatNumber(milliseconds / scale)} ${unit}`;
  }
  return `${formatNumber(milliseconds)} ms`;
}

function formatNumber(value: number): string {
  return value.toFixed(1).replace(/\.0$/, "");
}

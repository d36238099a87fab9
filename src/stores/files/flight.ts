/**
 * The right to compute one key, as a lock file with a lease. It saves work and keeps nothing right: where a network
 * file system lets two hosts have it, both compute, and the later of their writes counts.
 *
 * A lock file holds two lines: the fence, and who holds it. Its time of modification is that of the last renewal.
 */

import { type FileHandle, link, open, readFile, rename, stat, unlink } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { QuiverError } from "../../shared/errors.ts";
import { ioError, writeAll } from "../../shared/file-system.ts";
import { holdLease, LEASE } from "../lease.ts";
import type { Flight } from "../store.ts";
import { hasEnded, identity } from "./holder.ts";

const SHORTEST_PAUSE = 10;
const LONGEST_PAUSE = 500;

/** `temporary` names unfinished files on the same file system. undefined after `timeout` milliseconds. */
export async function claimLock(
  path: string,
  temporary: () => string,
  options: { key: string; timeout: number; signal?: AbortSignal },
): Promise<Flight | undefined> {
  const { key, timeout, signal } = options;
  const end = performance.now() + timeout;
  for (let pause = SHORTEST_PAUSE; ; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
    if (signal?.aborted) {
      const message = "waiting for the right to compute was given up";
      throw new QuiverError("ERR_QUIVER_ABORTED", message, { key, cause: signal.reason });
    }
    // A number that nobody else draws: a fence counts only while it stands in the lock.
    const fence = Date.now() * 1000 + Math.floor(Math.random() * 1000);
    if (await create(path, `${fence}\n${await identity()}\n`)) return hold(path, fence);
    if (await takeAwayIfAbandoned(path, temporary)) continue;
    const left = end - performance.now();
    if (left <= 0) return undefined;
    // Uneven pauses, so that those who wait don't all ask at once. Aborted: the signal is looked at above.
    const uneven = Math.min(left, pause * (0.5 + Math.random()));
    await sleep(uneven, undefined, signal && { signal }).catch(() => undefined);
  }
}

/** Whether the fence is that of the one who has the lock now. */
export async function isFenceCurrent(path: string, fence: number): Promise<boolean> {
  const [current] = (await contentOf(path)).split("\n");
  return current === String(fence);
}

function contentOf(path: string): Promise<string> {
  return readFile(path, "latin1").catch(() => "");
}

/** Whether there was no file. */
async function create(path: string, content: string): Promise<boolean> {
  try {
    const file = await open(path, "wx", 0o644);
    try {
      await writeAll(file, Buffer.from(content));
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw ioError(error, path);
  }
}

/** Whether the lock may be had now. */
async function takeAwayIfAbandoned(path: string, temporary: () => string): Promise<boolean> {
  const content = await contentOf(path);
  const [, holder = ""] = content.split("\n");
  if (!(await hasEnded(holder)) && !(await isLeaseOver(path, temporary))) return false;
  const aside = temporary();
  if (!(await succeeds(rename(path, aside)))) return false;
  // Another one who waits was quicker, and has the lock already.
  const same = (await contentOf(aside)) === content;
  if (!same) await succeeds(link(aside, path));
  await succeeds(unlink(aside));
  return same;
}

/** Ages are differences between two times of the file system's own clock: hosts' clocks may differ. */
async function isLeaseOver(path: string, temporary: () => string): Promise<boolean> {
  const lock = await stat(path).catch(() => undefined);
  if (lock === undefined || Math.abs(Date.now() - lock.mtimeMs) < LEASE / 2) return false;
  const probe = temporary();
  if (!(await create(probe, ""))) return false;
  const present = await stat(probe).catch(() => undefined);
  await succeeds(unlink(probe));
  return present !== undefined && present.mtimeMs - lock.mtimeMs >= LEASE;
}

function hold(path: string, fence: number): Flight {
  return holdLease(fence, { renew: () => renew(path, fence), giveBack: () => giveBack(path, fence) });
}

/** Writes what is there already: the file system then sets the time by its own clock. */
async function renew(path: string, fence: number): Promise<void> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, "r+");
    const content = await file.readFile("latin1");
    if (content.startsWith(`${fence}\n`)) await writeAll(file, Buffer.from(content), 0);
  } finally {
    await file?.close();
  }
}

async function giveBack(path: string, fence: number): Promise<void> {
  if (await isFenceCurrent(path, fence)) await unlink(path);
}

/** For what may fail without harm. */
async function succeeds(operation: Promise<unknown>): Promise<boolean> {
  return operation.then(
    () => true,
    () => false,
  );
}

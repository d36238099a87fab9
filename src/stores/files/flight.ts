/**
 * The right to compute one key, as a lock file with a lease. It saves work and keeps nothing right: where a network
 * file system lets two hosts have it, both compute, and the later of their writes counts.
 */

import { open, readFile, rename, stat, unlink, utimes } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { QuiverError } from "../../shared/errors.ts";
import { ioError } from "../../shared/file-system.ts";
import type { Flight } from "../store.ts";

/** A lock that was not renewed for so long belongs to nobody. */
const LEASE = 10_000;
const RENEWED_EVERY = 3000;

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
    if (await create(path, String(fence))) return hold(path, fence);
    await takeAwayIfAbandoned(path, temporary);
    const left = end - performance.now();
    if (left <= 0) return undefined;
    await sleep(Math.min(left, pause * (0.5 + Math.random())), undefined, signal && { signal }).catch(() => undefined);
  }
}

/** Whether the fence is that of the one who has the lock now. */
export async function isFenceCurrent(path: string, fence: number): Promise<boolean> {
  return (await readFile(path, "latin1").catch(() => "")) === String(fence);
}

async function create(path: string, content: string): Promise<boolean> {
  try {
    const file = await open(path, "wx", 0o644);
    try {
      await file.write(content);
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw ioError(error, path);
  }
}

/** Ages are differences between two times of the file system's own clock: hosts' clocks may differ. */
async function takeAwayIfAbandoned(path: string, temporary: () => string): Promise<void> {
  const lock = await stat(path).catch(() => undefined);
  if (lock === undefined || Math.abs(Date.now() - lock.mtimeMs) < LEASE / 2) return;
  const probe = temporary();
  if (!(await create(probe, ""))) return;
  const present = await stat(probe).catch(() => undefined);
  await unlink(probe).catch(() => undefined);
  if (present === undefined || present.mtimeMs - lock.mtimeMs < LEASE) return;
  const aside = temporary();
  await rename(path, aside).catch(() => undefined);
  await unlink(aside).catch(() => undefined);
}

function hold(path: string, fence: number): Flight {
  const renew = async (): Promise<void> => {
    if (!(await isFenceCurrent(path, fence))) return;
    const time = new Date();
    await utimes(path, time, time).catch(() => undefined);
  };
  const renewal = setInterval(() => void renew(), RENEWED_EVERY);
  renewal.unref();
  let released = false;
  return {
    fence,
    release: () => {
      if (released) return;
      released = true;
      clearInterval(renewal);
      void isFenceCurrent(path, fence).then((current) => (current ? unlink(path) : undefined)).catch(() => undefined);
    },
  };
}

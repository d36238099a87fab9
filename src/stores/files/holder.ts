/** Who holds a lock, and whether it is a process of this host that has ended. */

import { readFile, readlink } from "node:fs/promises";

/** Text that tells this process from every other one: boot, namespace of process numbers, number, start time. */
export function identity(): Promise<string> {
  own ??= describeSelf();
  return own;
}

/**
 * Whether the process is known to have ended. Of other hosts, other containers, and where the system doesn't tell,
 * nothing is known.
 */
export async function hasEnded(holder: string): Promise<boolean> {
  const [boot, namespace, pid] = holder.split(" ");
  const [ownBoot, ownNamespace] = (await identity()).split(" ");
  if (!boot || !namespace || !pid || boot !== ownBoot || namespace !== ownNamespace) return false;
  return (await startOf(pid)) !== holder.split(" ")[3];
}

let own: Promise<string> | undefined;

async function describeSelf(): Promise<string> {
  const boot = await readFile("/proc/sys/kernel/random/boot_id", "latin1").catch(() => "");
  const namespace = await readlink("/proc/self/ns/pid").catch(() => "");
  const pid = String(process.pid);
  return [boot.trim(), namespace, pid, await startOf(pid)].join(" ");
}

/** Ticks since boot; empty for a process that isn't there, or is and waits for nothing but its parent. */
async function startOf(pid: string): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "");
  // The name in parentheses may hold anything; fields are counted after it: state is the 3rd, start time the 22nd.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" ? "" : (fields[19] ?? "");
}

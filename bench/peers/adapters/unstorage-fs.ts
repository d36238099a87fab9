/** unstorage with its driver for files: a file a key, written in place. */

import { join } from "node:path";
import { createStorage } from "unstorage";
import fsDriver from "unstorage/drivers/fs";
import type { Blobs, Peer, Records } from "../contract.ts";

function blobs(folder: string): Blobs {
  const storage = createStorage({ driver: fsDriver({ base: join(folder, "process") }) });
  const set = (key: string, value: Uint8Array): Promise<void> => storage.setItemRaw(key, value);
  return {
    set,
    setMany: (entries) => Promise.all(entries.map(([key, value]) => set(key, value))),
    get: async (key) => (await storage.getItemRaw<Uint8Array>(key)) ?? undefined,
    delete: (key) => storage.removeItem(key),
    count: async (prefix) => (await storage.getKeys()).filter((key) => key.startsWith(prefix)).length,
    close: () => storage.dispose(),
  };
}

function records(folder: string): Records {
  const storage = createStorage({ driver: fsDriver({ base: join(folder, "records") }) });
  return {
    set: (key, value, seconds) => storage.setItem(key, { expires: Date.now() + seconds * 1000, value }),
    get: async (key) => {
      const found = await storage.getItem<{ expires: number; value: object }>(key);
      return found !== null && found.expires > Date.now() ? found.value : undefined;
    },
    close: () => storage.dispose(),
  };
}

export const unstorageFs: Peer = {
  name: "unstorage, fs",
  package: "unstorage",
  layout: "a file an entry",
  durability: { process: "never synced, written in place" },
  blobs,
  records,
};

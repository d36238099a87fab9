/** One process of one Node peer: takes a job as its argument, does the steps, prints the answer. */

import { readFileSync } from "node:fs";
import { NODE_PEERS } from "./adapters/catalogue.ts";
import type { Answer, Figure, Job, Peer } from "./contract.ts";
import { bringIntoMemory } from "./page-cache.ts";
import type { Context } from "./workload.ts";
import { WORKLOADS } from "./workloads/catalogue.ts";

export async function work(job: Job): Promise<Answer> {
  const load = NODE_PEERS[job.peer];
  const workload = WORKLOADS.find(({ name }) => name === job.workload);
  if (load === undefined || workload === undefined) throw new Error(`no ${job.peer} or no ${job.workload}`);
  const peer = await load();
  const context = contextOf(job, peer);
  const figures: Figure[] = [];
  const seen: string[] = [];
  for (const step of job.steps) {
    const operation = workload.operations[step.op];
    if (operation === undefined) throw new Error(`${job.workload} has no operation ${step.op}`);
    if (step.inMemory) bringIntoMemory(job.folder);
    const outcome = await operation(context, step);
    figures.push(...(outcome?.figures ?? []));
    seen.push(...(outcome?.seen ?? []));
  }
  await context.close();
  return {
    figures,
    seen,
    layout: peer.layout,
    durability: peer.durability,
    version: peer.package === undefined ? "" : versionOf(peer.package),
  };
}

function contextOf({ folder, round }: Job, peer: Peer): Context {
  const open = new Map<string, Promise<{ close(): unknown }>>();
  return {
    peer,
    folder,
    round,
    opened: <T extends { close(): unknown }>(name: string, opener: () => Promise<T> | T): Promise<T> => {
      const found = open.get(name) ?? Promise.resolve(opener());
      open.set(name, found);
      return found as Promise<T>;
    },
    close: async () => {
      for (const store of open.values()) await (await store).close();
      open.clear();
    },
  };
}

function versionOf(name: string): string {
  const manifest = new URL(`../node_modules/${name}/package.json`, import.meta.url);
  return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
}

console.log(JSON.stringify(await work(JSON.parse(process.argv[2] ?? "") as Job)));
// Some peers leave timers and threads behind.
process.exit(0);

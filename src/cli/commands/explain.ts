/** `quiver explain`: why a key is there, or what may have become of it. */

import type { Command } from "commander";
import { namespaceOfKey } from "../../hashing/cache-key.ts";
import { now } from "../../shared/clock.ts";
import { QuiverError } from "../../shared/errors.ts";
import { formatDuration, formatSize } from "../../shared/units.ts";
import type { Counters } from "../../stores/counters.ts";
import type { LocalStore } from "../../stores/local.ts";
import type { EntryFacts, StoreNamespace } from "../../stores/store.ts";
import type { Cli, CommonOptions } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { ago, timestamp } from "../format.ts";
import { withLocalStore } from "../session.ts";
import { formatFacts } from "../table.ts";

/** What is known of a key. "missing" has the causes that are possible, "never" that none is. */
interface Explanation {
  readonly namespace: string;
  readonly key: string;
  readonly state: "present" | "expired" | "missing" | "never";
  readonly reasons: readonly string[];
}

interface ExplainOptions extends CommonOptions {
  readonly namespace?: string;
}

const PAGE = 1000;

export function explainCommand(cli: Cli): Command {
  return cli
    .command(
      "explain",
      "say why a key is there, or why it may not be: expired, evicted, deleted, never cached",
    )
    .argument("<namespace>", "may be left out where the key is a derived one, which names it")
    .argument("[key]")
    .option("-n, --namespace <name>", "the namespace, where it is not an argument")
    .action(
      cli.action(async (first: string, second: string | undefined, options: ExplainOptions) => {
        const key = second ?? first;
        const name = options.namespace ?? (second === undefined ? namespaceOfKey(key) : first);
        if (name === undefined) {
          throw new QuiverError("ERR_QUIVER_BAD_OPTION", `"${key}" does not name its namespace`, {
            hint: "Only keys of memoised functions do: they begin with it.",
            fix: "Run `quiver explain <namespace> <key>`.",
          });
        }
        // Counts of all processes are known only to those that may also add to them.
        const told = await withLocalStore(options, "write", (store) => explain(store, name, key));
        if (options.json) await cli.printJson(told);
        else {
          const reasons = told.reasons.map((reason) => ["", reason] as const);
          await cli.io.write(formatFacts([[told.state, `"${key}" in "${name}"`], ...reasons]));
        }
        return told.state === "present" ? EXIT.ok : EXIT.notFound;
      }),
    );
}

async function explain(store: LocalStore, name: string, key: string): Promise<Explanation> {
  const known = await store.names();
  if (!known.includes(name)) {
    return { namespace: name, key, state: "never", reasons: [`there is no namespace "${name}"`] };
  }
  const namespace = await store.open(name, {});
  const info = await namespace.info(key);
  if (info !== undefined) {
    return { namespace: name, key, state: "present", reasons: await whyPresent(namespace, info) };
  }
  const stale = await namespace.get(key, { stale: true });
  if (stale !== undefined) {
    const expired = `it expired ${ago(stale.expiresAt)} ago and is kept for those who take stale values`;
    return { namespace: name, key, state: "expired", reasons: [expired] };
  }
  const causes = whatMayHaveHappened(namespace, store.statistics.read(name));
  const state = causes.length === 0 ? "never" : "missing";
  const related = await otherVersions(namespace, key);
  const nothing = causes.length === 0 ? ["nothing has left this namespace yet"] : causes;
  return { namespace: name, key, state, reasons: [...nothing, ...related] };
}

async function whyPresent(namespace: StoreNamespace, info: EntryFacts): Promise<string[]> {
  let before = 0;
  let all = 0;
  for await (const entry of entriesOf(namespace)) {
    all++;
    if (!entry.pinned && entry.lastAccessed < info.lastAccessed) before++;
  }
  const leaves = info.pinned
    ? "it is pinned and is never evicted"
    : `${before} of ${all} entries were used longer ago, and leave before it by "lru"`;
  const expires =
    info.expiresAt === null
      ? "it does not expire"
      : `it expires in ${formatDuration(Math.max(0, info.expiresAt - now()))}, at ${timestamp(info.expiresAt)}`;
  return [
    `it was stored ${ago(info.createdAt)} ago as ${info.codec}, ${formatSize(info.size)}, and read ${info.accessCount} times`,
    expires,
    leaves,
  ];
}

/** The causes that the counts leave open, by which a key may have left or never have come. */
function whatMayHaveHappened({ settings }: StoreNamespace, counts: Readonly<Counters>): string[] {
  const lives = settings.ttl === null ? "" : `; entries here live ${formatDuration(settings.ttl)}`;
  const causes: readonly (readonly [number, string])[] = [
    [counts.expired, `it may have expired, as ${counts.expired} entries have${lives}`],
    [counts.evictions, `it may have been evicted, as ${counts.evictions} entries were`],
    [counts.deletes, `it may have been deleted, as ${counts.deletes} entries were`],
    [counts.errors, `storing it may have failed: ${counts.errors} failures counted as misses`],
  ];
  return causes.flatMap(([count, cause]) => (count > 0 ? [cause] : []));
}

/** A derived key ends with the digest of its input; another version of the function has another key for it. */
async function otherVersions(namespace: StoreNamespace, key: string): Promise<string[]> {
  if (namespaceOfKey(key) === undefined) return [];
  const input = key.slice(key.lastIndexOf(":"));
  const found: string[] = [];
  for await (const entry of entriesOf(namespace)) if (entry.key.endsWith(input)) found.push(entry.key);
  return found.map((other) => `the same input is there under another version: "${other}"`);
}

async function* entriesOf(namespace: StoreNamespace): AsyncGenerator<EntryFacts> {
  let after: string | undefined;
  do {
    const page = await namespace.list({ limit: PAGE, ...(after !== undefined && { after }) });
    yield* page.entries;
    after = page.next;
  } while (after !== undefined);
}

/** What `Cache.open` is given that is no value to be read but a place, or an object with methods. */

import { isPlainObject } from "../codecs/values.ts";
import { isPath, shown } from "../shared/arguments.ts";
import { QuiverError } from "../shared/errors.ts";
import type { Logger } from "../shared/logger.ts";
import { badOption } from "../shared/options.ts";
import { checkStore } from "../stores/check-store.ts";
import { checkCodec } from "./codec-set.ts";

const ADDRESS = /^[a-z][a-z0-9+.-]*:\/\//i;

/** Throws ERR_QUIVER_BAD_OPTION unless it is left out, a path, or a plain object; a URL would pass for options of which none is given. */
export function checkWhere(where: unknown): void {
  if (where === undefined || isPlainObject(where)) return;
  if (!isPath(where)) {
    throw new QuiverError("ERR_QUIVER_BAD_OPTION", `${shown(where)} can't be the path of a cache`, {
      fix: "Give a path, or all options in one object; fileURLToPath(url) makes a path of a URL.",
      found: where,
    });
  }
  if (ADDRESS.test(where)) {
    throw new QuiverError("ERR_QUIVER_BAD_OPTION", `${where} is an address, not a path`, {
      hint: "A cache is a folder; other places are stores.",
      fix: 'Give a path, or open with { backend: "redis", redisUrl }, or with a store of your own.',
      found: where,
    });
  }
}

/** The logger; throws ERR_QUIVER_BAD_OPTION unless it has the four methods. */
export function checkedLogger(logger: Logger): Logger {
  const { debug, info, warn, error }: Partial<Logger> = logger;
  if ([debug, info, warn, error].every((method) => typeof method === "function")) return logger;
  throw badOption("logger", logger, "an object { debug, info, warn, error } of functions");
}

/** Throws ERR_QUIVER_BAD_OPTION for stores, routes and codecs that are none. */
export function checkObjects({ store, routes, codecs }: Readonly<Record<string, unknown>>): void {
  if (store !== undefined) checkStore(store, "store");
  if (routes !== undefined && !Array.isArray(routes)) throw badOption("routes", routes, "a list of rules");
  if (codecs === undefined) return;
  if (!Array.isArray(codecs)) throw badOption("codecs", codecs, "a list of codecs");
  for (const [index, codec] of codecs.entries()) checkCodec(codec, `codecs[${index}]`);
}

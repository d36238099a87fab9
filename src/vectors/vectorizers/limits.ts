/** A vectorizer behind a service that allows so much a minute and sometimes fails. */

import * as read from "../../cache/option-readers.ts";
import { badOption, checkOptions, type OptionNames } from "../../shared/options.ts";
import type { Duration } from "../../shared/units.ts";
import { Pace } from "./pace.ts";
import { isTransient, retryAfter } from "./transient.ts";
import type { EmbedOptions, Vectorizer, Vectors } from "./vectorizer.ts";
import { sleep } from "./wait.ts";

/** Options of `withLimits`. */
export interface LimitOptions {
  /** Calls under way at the same time. Default: 4. */
  readonly concurrency?: number;
  /** Calls begun within any minute. Default: no limit. */
  readonly requestsPerMinute?: number;
  /** Texts sent within any minute; a call with more waits for a minute of its own. Default: no limit. */
  readonly textsPerMinute?: number;
  /** How often a call is repeated that failed for a passing reason: status 408, 425, 429 or 5xx, or the network. Default: 5. */
  readonly retries?: number;
  /** The wait before the first repetition; each further one takes twice as long. A server's Retry-After is kept where it is longer. Default: 1 s. */
  readonly backoff?: Duration;
  /** The longest wait; a server that asks for a longer one makes the call fail. Default: 2 minutes. */
  readonly maxBackoff?: Duration;
}

const OPTIONS: OptionNames<LimitOptions> = {
  concurrency: true,
  requestsPerMinute: true,
  textsPerMinute: true,
  retries: true,
  backoff: true,
  maxBackoff: true,
};

/**
 * The same vectorizer within limits; calls beyond them wait. Aborting ends waits at once. Throws
 * ERR_QUIVER_BAD_OPTION; a call that still fails after the last repetition rejects with its own error.
 */
export function withLimits(vectorizer: Vectorizer, options: LimitOptions = {}): Vectorizer {
  checkOptions(options, OPTIONS);
  const positive = (
    name: "concurrency" | "requestsPerMinute" | "textsPerMinute",
    fallback: number,
  ): number => {
    const value = options[name];
    if (value === undefined) return fallback;
    if (read.count(value, name) === 0) throw badOption(name, value, "a whole number above 0");
    return value;
  };
  const pace = new Pace({
    concurrency: positive("concurrency", 4),
    requests: positive("requestsPerMinute", Number.POSITIVE_INFINITY),
    texts: positive("textsPerMinute", Number.POSITIVE_INFINITY),
  });
  const retries = read.count(options.retries ?? 5, "retries");
  const first = read.duration(options.backoff ?? "1s", "backoff");
  const longest = read.duration(options.maxBackoff ?? "2m", "maxBackoff");

  const attempt = async (texts: readonly string[], embedOptions: EmbedOptions): Promise<Vectors> => {
    const release = await pace.enter(texts.length, embedOptions.signal);
    try {
      return await vectorizer.embed(texts, embedOptions);
    } finally {
      release();
    }
  };

  return {
    ...vectorizer,
    async embed(texts, embedOptions) {
      for (let failures = 0; ; failures++) {
        try {
          return await attempt(texts, embedOptions);
        } catch (error) {
          embedOptions.signal?.throwIfAborted();
          if (failures >= retries || !isTransient(error)) throw error;
          const asked = retryAfter(error);
          if (asked > longest) throw error;
          // Between half and all of it, so that callers that failed together don't return together.
          const own = Math.min(first * 2 ** failures, longest) * (0.5 + Math.random() / 2);
          await sleep(Math.max(asked, own), embedOptions.signal);
        }
      }
    },
  };
}

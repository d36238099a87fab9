/** `quiver warm`: computes the missing entries that a module's recipes declare. */

import type { Command } from "commander";
import type { Recipe, WarmReport } from "../../cache/warm.ts";
import { QuiverError } from "../../shared/errors.ts";
import type { Cli, CommonOptions } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { loadModule } from "../load-module.ts";
import { parsePositive } from "../parse.ts";
import { startProgress } from "../progress.ts";
import { withCache } from "../session.ts";

interface WarmOptions extends CommonOptions {
  readonly concurrency?: number;
  readonly dryRun?: boolean;
}

export function warmCommand(cli: Cli): Command {
  return cli
    .command("warm", "compute missing entries from the recipes that a module exports")
    .argument(
      "<module>",
      "path of a JavaScript module whose `recipes` or default export is a list of recipes",
    )
    .option("-c, --concurrency <count>", "how many are computed at the same time", parsePositive)
    .option("--dry-run", "only tell what is missing")
    .action(
      cli.action(async (path: string, options: WarmOptions) => {
        const recipes = await loadRecipes(path);
        const { concurrency, dryRun } = options;
        const progress = startProgress(cli.io, dryRun ? "looking" : "warming");
        const report = await withCache(options, "create", (cache) =>
          cache.warm(recipes, {
            ...(concurrency === undefined ? {} : { concurrency }),
            ...(dryRun === undefined ? {} : { dryRun }),
            onProgress: ({ done, total, key }) => progress.update(done, total, key),
          }),
        ).finally(() => progress.end());
        const failures = report.failures.map(({ error, ...entry }) => ({
          ...entry,
          reason: reasonOf(error),
        }));
        if (options.json) await cli.printJson({ ...report, failures });
        else await tell(cli, report, failures);
        return report.failed > 0 ? EXIT.notFound : EXIT.ok;
      }),
    );
}

async function tell(
  cli: Cli,
  { computed, present, missing }: WarmReport,
  failures: readonly { namespace: string; key: string; reason: string }[],
): Promise<void> {
  for (const { namespace, key } of missing) await cli.io.write(cli.line(`${namespace}  ${key}`));
  for (const { namespace, key, reason } of failures)
    cli.io.note(cli.line(`failed: ${namespace}  ${key}: ${reason}`));
  const outcome = missing.length > 0 ? `${missing.length} missing` : `${computed} computed`;
  cli.io.note(`${outcome}, ${present} present, ${failures.length} failed\n`);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function loadRecipes(path: string): Promise<readonly Recipe[]> {
  const { file, exports } = await loadModule(path);
  const list = exports["recipes"] ?? exports["default"];
  if (Array.isArray(list)) return list as Recipe[];
  throw new QuiverError("ERR_QUIVER_BAD_OPTION", `${file} exports no list of recipes`, {
    path: file,
    fix: "Export `recipes`, an array of { namespace, key, parameters, compute }.",
  });
}

/** `quiver config`: the settings in force, and where each came from. */

import type { Command } from "commander";
import type { Cli, CommonOptions } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { rootOf, withCache } from "../session.ts";
import { formatTable } from "../table.ts";

const header = [{ title: "option" }, { title: "value", flexible: true }, { title: "from", flexible: true }];

export function configCommand(cli: Cli): Command {
  return cli.command("config", "show the settings in force and where each came from").action(
    cli.action(async (options: CommonOptions) => {
      const path = rootOf(options);
      const origins = await withCache(options, "read", async (cache) => cache.explainConfig());
      if (options.json) {
        await cli.printJson({ path, pathFrom: pathOrigin(options), options: origins });
        return EXIT.ok;
      }
      const rows = origins
        // This command itself asked for reading only.
        .filter(({ option }) => option !== "mode")
        .map(({ option, value, source, place }) => [option, shown(value), place === "" ? source : place]);
      await cli.io.write(formatTable(header, [["path", path, pathOrigin(options)], ...rows], cli.io.columns));
      return EXIT.ok;
    }),
  );
}

function pathOrigin({ cache }: CommonOptions): string {
  if (cache !== undefined) return "--cache";
  return process.env["QUIVER_PATH"] === undefined ? "default" : "QUIVER_PATH";
}

function shown(value: unknown): string {
  if (value === null) return "none";
  return typeof value === "object" && "name" in value ? String(value.name) : String(value);
}

import { mkdtemp, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  defaultPath,
  environmentSource,
  fileSource,
  namespaceEnvironment,
  type Source,
  warnOfUnknownVariables,
} from "../../src/cache/config-sources.ts";
import { prepareOpening } from "../../src/cache/opening.ts";
import {
  CACHE_OPTIONS,
  NAMESPACE_OPTIONS,
  resolveCacheOptions,
  resolveNamespaceOptions,
} from "../../src/cache/options.ts";
import { Cache, type CacheOptions, MemoryStore } from "../../src/index.ts";

const code = (values: Record<string, unknown>): Source => ({ kind: "code", values, placeOf: () => "" });

test("defaults stand where nothing is given", () => {
  const { options, origins } = resolveCacheOptions([]);
  expect(options).toMatchObject({
    maxSize: null,
    maxEntries: null,
    ttl: null,
    evictionThreshold: 0.9,
    durability: "full",
    verify: "touch",
    mode: "read-write",
    memoryLimit: 268_435_456,
    maxMappings: 16_384,
    maxCopies: 1_073_741_824,
    onError: "throw",
  });
  expect(options.eviction.name).toBe("lru");
  expect(Object.isFrozen(options)).toBe(true);
  expect(new Set(origins.map(({ source }) => source))).toEqual(new Set(["default"]));
});

test("code comes before variables, variables before the file, null counts as given", () => {
  const environment = { QUIVER_MAX_SIZE: "2MB", QUIVER_TTL: "1h", QUIVER_MAX_ENTRIES: "none" };
  const file: Source = {
    kind: "file",
    values: { maxSize: "3MB", ttl: "3h", maxEntries: 7, verify: "full" },
    placeOf: () => "/x/quiver.config.json",
  };
  const { options, origins } = resolveCacheOptions([
    code({ maxSize: null, eviction: "sieve" }),
    environmentSource(environment, CACHE_OPTIONS),
    file,
  ]);
  expect(options).toMatchObject({ maxSize: null, ttl: 3_600_000, maxEntries: null, verify: "full" });
  const from = Object.fromEntries(origins.map(({ option, source, place }) => [option, `${source} ${place}`]));
  expect(from).toMatchObject({
    maxSize: "code ",
    ttl: "environment QUIVER_TTL",
    verify: "file /x/quiver.config.json",
    mode: "default ",
  });
});

test.each([
  [{ maxSize: "10 apples" }, "maxSize"],
  [{ maxSize: -1 }, "maxSize"],
  [{ maxEntries: 1.5 }, "maxEntries"],
  [{ ttl: "soon" }, "ttl"],
  [{ ttl: {} }, "ttl"],
  [{ eviction: "random" }, "eviction"],
  [{ evictionThreshold: 0 }, "evictionThreshold"],
  [{ evictionThreshold: 1.01 }, "evictionThreshold"],
  [{ durability: "some" }, "durability"],
  [{ mode: "write-only" }, "mode"],
  [{ memoryLimit: null }, "memoryLimit"],
  [{ maxMappings: -1 }, "maxMappings"],
  [{ enabled: "perhaps" }, "enabled"],
  [{ maxsize: 1 }, "maxsize"],
  [{ namespaces: { a: { ttl: "never" } } }, "namespaces.a.ttl"],
  [{ namespaces: { a: { layuot: "named" } } }, "namespaces.a.layuot"],
  [{ namespaces: { a: { versions: -1 } } }, "namespaces.a.versions"],
  [{ namespaces: { a: { codec: {} } } }, "namespaces.a.codec"],
  [{ namespaces: 3 }, "namespaces"],
  [{ routes: [{ namespace: "a" }] }, "routes[0]"],
])("%j is refused with the field named", async (options, field) => {
  const opened = Cache.open(undefined, { store: new MemoryStore(), ...(options as CacheOptions) });
  await expect(opened).rejects.toMatchObject({
    code: "ERR_QUIVER_BAD_OPTION",
    message: expect.stringContaining(field),
  });
});

test("a bad variable is named in the error", () => {
  const source = environmentSource({ QUIVER_EVICTION_THRESHOLD: "high" }, CACHE_OPTIONS);
  expect(() => resolveCacheOptions([source])).toThrow("QUIVER_EVICTION_THRESHOLD");
});

test("variables of one namespace override the cache's for it alone", () => {
  const environment = { QUIVER_NS_MY_STENCILS_TTL: "5m", QUIVER_NS_MY_STENCILS_ON_ERROR: "miss" };
  const cache = resolveCacheOptions([]).options;
  const read = (name: string) =>
    resolveNamespaceOptions(name, [namespaceEnvironment(environment, name, NAMESPACE_OPTIONS)], cache);
  expect(read("my-stencils")).toMatchObject({ settings: { ttl: 300_000 }, onError: "miss" });
  expect(read("other")).toMatchObject({ settings: {}, onError: "throw" });
});

test("unknown QUIVER_ names are warned of, known ones are not", () => {
  const warned: string[] = [];
  const logger = { debug() {}, info() {}, error() {}, warn: (message: string) => void warned.push(message) };
  const environment = {
    QUIVER_TTL: "1",
    QUIVER_LOG: "debug",
    QUIVER_TORTURE: "1",
    QUIVER_NS_A_TTL: "1",
    QUIVER_MAXSIZE: "1",
    QUIVER_NS_A_COLOUR: "red",
    OTHER: "1",
  };
  warnOfUnknownVariables(environment, CACHE_OPTIONS, NAMESPACE_OPTIONS, logger);
  expect(warned.map((message) => message.match(/QUIVER_\w+/)?.[0])).toEqual([
    "QUIVER_MAXSIZE",
    "QUIVER_NS_A_COLOUR",
  ]);
});

test("the configuration file is read from the cache, and must be a JSON object", async () => {
  const root = await mkdtemp(join(tmpdir(), "quiver-"));
  expect(await fileSource(root)).toBeUndefined();
  await writeFile(
    join(root, "quiver.config.json"),
    '{ "ttl": "9m", "namespaces": { "a": { "versions": 2 } } }',
  );
  const opening = await prepareOpening(root, { enabled: false }, {});
  expect(opening.options.ttl).toBe(540_000);
  expect(opening.configured).toEqual(["a"]);
  const { settings } = resolveNamespaceOptions("a", opening.namespaceSources("a"), opening.options);
  expect(settings).toEqual({ versions: 2 });
  for (const text of ["[]", "{", "null"]) {
    await writeFile(join(root, "quiver.config.json"), text);
    await expect(fileSource(root)).rejects.toMatchObject({ code: "ERR_QUIVER_BAD_OPTION" });
  }
});

test("the path comes from the argument, then QUIVER_PATH, then the platform", async () => {
  const disabled = { enabled: false };
  expect((await prepareOpening("/a/b", disabled, { QUIVER_PATH: "/c" })).path).toBe("/a/b");
  expect((await prepareOpening(undefined, disabled, { QUIVER_PATH: "~/c" })).path).toBe(join(homedir(), "c"));
  expect(defaultPath({ XDG_CACHE_HOME: "/x" }, "linux")).toBe("/x/quiver");
  expect(defaultPath({ XDG_CACHE_HOME: "relative" }, "linux")).toBe(join(homedir(), ".cache", "quiver"));
  expect(defaultPath({}, "darwin")).toBe(join(homedir(), "Library", "Caches", "quiver"));
  await expect(Cache.open("", disabled)).rejects.toMatchObject({ code: "ERR_QUIVER_BAD_OPTION" });
});

test("a disabled cache keeps nothing", async () => {
  await using cache = await Cache.open("/nowhere/at/all", { enabled: false });
  const values = cache.namespace("values");
  await values.set("a", 1);
  expect(await values.get("a")).toBeUndefined();
  expect(await values.getOrCompute("a", () => 2)).toBe(2);
});

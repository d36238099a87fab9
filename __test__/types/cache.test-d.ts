import { expectTypeOf, test } from "vitest";
import {
  Cache,
  type CacheOptions,
  type EntryInfo,
  type EvictEvent,
  type Namespace,
  type PathLease,
  type Tensor,
} from "../../src/index.ts";

declare const cache: Cache;
declare const kernels: Namespace<Tensor>;

test("a namespace carries the type of its values", () => {
  expectTypeOf(cache.namespace<Tensor>("kernels")).toEqualTypeOf<Namespace<Tensor>>();
  expectTypeOf(cache.namespace("any")).toEqualTypeOf<Namespace<unknown>>();
  expectTypeOf(kernels.get("a")).resolves.toEqualTypeOf<Tensor | undefined>();
  expectTypeOf(kernels.getSync("a")).toEqualTypeOf<Tensor | undefined>();
  expectTypeOf(kernels.getMany(["a"])).resolves.toEqualTypeOf<(Tensor | undefined)[]>();
  expectTypeOf(kernels.getOrCompute).parameter(1).returns.toEqualTypeOf<Tensor | Promise<Tensor>>();
  expectTypeOf(kernels.set).parameter(1).extract<string>().toBeNever();
  expectTypeOf(kernels.set("a", new ReadableStream<Uint8Array>())).resolves.toEqualTypeOf<EntryInfo>();
  // @ts-expect-error a namespace of tensors takes no text
  void kernels.set("a", "text");
});

test("walks and leases have the types that for await and using want", () => {
  expectTypeOf(kernels.keys()).toExtend<AsyncIterable<string>>();
  expectTypeOf(kernels.entries()).toExtend<AsyncIterable<[string, EntryInfo]>>();
  expectTypeOf(kernels.path("a")).resolves.toEqualTypeOf<PathLease | undefined>();
  expectTypeOf<PathLease>().toExtend<Disposable>();
  expectTypeOf<Cache>().toExtend<AsyncDisposable>();
});

test("options take sizes and durations as people write them, and nothing unknown", () => {
  expectTypeOf<{ maxSize: "10GB"; ttl: "2h" }>().toExtend<CacheOptions>();
  expectTypeOf<{ maxSize: null; ttl: 5 }>().toExtend<CacheOptions>();
  expectTypeOf<{ eviction: "random" }>().not.toExtend<CacheOptions>();
  // @ts-expect-error there is no such option
  void Cache.open("x", { maxsize: 1 });
});

test("listeners are given what their event is about", () => {
  cache.on("evict", (event) => expectTypeOf(event).toEqualTypeOf<EvictEvent>());
  cache.on("set", ({ size }) => expectTypeOf(size).toBeNumber());
  // @ts-expect-error there is no such event
  cache.on("explode", () => {});
});

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Tensor } from "../../src/index.ts";
import { fromFunction } from "../../src/vectors/vectorizers/function.ts";
import { hashingVectorizer } from "../../src/vectors/vectorizers/hashing.ts";
import { withLimits } from "../../src/vectors/vectorizers/limits.ts";
import { fromTransformers, type TransformersPipeline } from "../../src/vectors/vectorizers/transformers.ts";

const badOption = expect.objectContaining({ code: "ERR_QUIVER_BAD_OPTION" });

describe("hashed n-grams", () => {
  const embed = async (texts: readonly string[], ...options: Parameters<typeof hashingVectorizer>) => {
    const vectors = await hashingVectorizer(...options).embed(texts, {});
    expect(vectors).toBeInstanceOf(Tensor);
    return vectors as Tensor<Float32Array>;
  };

  test("are the same for ever, on every platform", async () => {
    const vectors = await embed(["Call me Ishmael.", "Überall, ÜBERALL! 東京"], {
      dimension: 8,
      words: [1, 2],
      characters: [3, 4],
    });
    expect(Array.from(new Uint32Array(vectors.data.slice().buffer), (bits) => bits.toString(16))).toEqual(
      GOLDEN,
    );
  });

  test("name every parameter in the model, because others make other vectors", () => {
    expect(hashingVectorizer().model).toBe("quiver/hashing-384-w1-2-c3-4");
    expect(hashingVectorizer({ dimension: 64, characters: null }).model).toBe("quiver/hashing-64-w1-2");
    expect(hashingVectorizer({ words: null }).model).toBe("quiver/hashing-384-c3-4");
  });

  test("find the text that shares words", async () => {
    const vectors = await embed(["whales in the sea", "tea for two", "the whale at sea"]);
    const dot = (a: number, b: number) =>
      vectors.row(a).data.reduce((sum, value, i) => sum + value * (vectors.row(b).data[i] as number), 0);
    expect(dot(0, 2)).toBeGreaterThan(0.3);
    expect(Math.abs(dot(0, 1))).toBeLessThan(0.2);
  });

  test("take any text", async () => {
    const million = "It was the whiteness of the whale. ".repeat(30_000);
    const vectors = await embed(["", "\ud800", "\0", million, "a"]);
    expect(vectors.shape).toEqual([5, 384]);
    expect(vectors.data.every(Number.isFinite)).toBe(true);
    expect(vectors.row(0).data.every((value) => value === 0)).toBe(true);
    expect((await embed([])).shape).toEqual([0, 384]);
  });

  test.each([
    { dimension: 0 },
    { dimension: 2 ** 21 },
    { words: [0, 1] },
    { words: [2, 1] },
    { characters: [1, 99] },
  ] as const)("refuse %o", (options) => {
    expect(() => hashingVectorizer(options)).toThrow(
      expect.objectContaining({ code: "ERR_QUIVER_BAD_VALUE" }),
    );
  });
});

test("a function needs a name", async () => {
  const vectorizer = fromFunction((texts) => texts.map((text) => [text.length]), {
    model: "length",
    dimension: 1,
  });
  expect(await vectorizer.embed(["a", "bc"], {})).toEqual([[1], [2]]);
  expect(() => fromFunction(() => [], { model: "" })).toThrow(badOption);
});

describe("a pipeline of transformers.js", () => {
  // Stands for the real one, whose runtime is too heavy to install for tests; its shape is that of version 4.
  const pipelineOf = (config: object, disposed: () => void = () => undefined): TransformersPipeline =>
    Object.assign(
      async (texts: string[], options: { pooling: string; normalize: boolean }) => ({
        type: "float32",
        dims: [texts.length, 2],
        data: Float32Array.from(texts.flatMap((text) => [text.length, options.normalize ? 1 : 0])),
        dispose: disposed,
      }),
      { task: "feature-extraction", model: { config }, tokenizer: { model_max_length: 512 } },
    );

  test("gives a tensor of its own, and is named by its configuration", async () => {
    const disposed = vi.fn();
    const vectorizer = fromTransformers(pipelineOf({ _name_or_path: "Xenova/all-MiniLM-L6-v2" }, disposed));
    expect(vectorizer).toMatchObject({ model: "Xenova/all-MiniLM-L6-v2", contextSize: 512 });
    const vectors = (await vectorizer.embed(["a", "abc"], {})) as Tensor;
    expect(vectors.toArray()).toEqual([
      [1, 1],
      [3, 1],
    ]);
    expect(disposed).toHaveBeenCalledOnce();
  });

  test("has other names for other vectors, and none that is made up", () => {
    const pipeline = pipelineOf({ _name_or_path: "m" });
    expect(fromTransformers(pipeline, { pooling: "cls", normalize: false }).model).toBe("m-cls-unnormalized");
    expect(fromTransformers(pipelineOf({}), { model: "mine" }).model).toBe("mine");
    expect(() => fromTransformers(pipelineOf({}))).toThrow(badOption);
  });
});

describe("limits", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  /** Fails as told, and notes when it was called. */
  function service(...failures: readonly object[]) {
    const calls: number[] = [];
    const left = [...failures];
    let running = 0;
    let most = 0;
    const vectorizer = fromFunction(
      async (texts) => {
        calls.push(Math.round(performance.now()));
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 10));
        running--;
        const failure = left.shift();
        if (failure !== undefined) throw Object.assign(new Error("failed"), failure);
        return texts.map(() => [1]);
      },
      { model: "service" },
    );
    return { vectorizer, calls, most: () => most };
  }

  const settle = async <T>(promise: Promise<T>): Promise<PromiseSettledResult<T>> => {
    const settled = Promise.allSettled([promise]);
    await vi.runAllTimersAsync();
    return (await settled)[0];
  };

  test.each([
    ["status 429", { status: 429 }],
    ["the AI SDK's status", { statusCode: 503 }],
    ["a response's status", { response: { status: 500 } }],
    ["a refused connection", { code: "ECONNREFUSED" }],
    ["fetch, which hides the code in its cause", { cause: { cause: { code: "UND_ERR_SOCKET" } } }],
  ])("repeat after %s", async (_, failure) => {
    const { vectorizer, calls } = service(failure, failure);
    expect(await settle(withLimits(vectorizer).embed(["a"], {}))).toMatchObject({ status: "fulfilled" });
    expect(calls).toHaveLength(3);
    expect((calls[1] as number) - (calls[0] as number)).toBeGreaterThanOrEqual(500);
    expect((calls[2] as number) - (calls[1] as number)).toBeGreaterThanOrEqual(1000);
  });

  test.each([{ status: 400 }, { statusCode: 401 }, { code: "ENOENT" }, {}])(
    "don't repeat after %o",
    async (failure) => {
      const { vectorizer, calls } = service(failure);
      expect(await settle(withLimits(vectorizer).embed(["a"], {}))).toMatchObject({ status: "rejected" });
      expect(calls).toHaveLength(1);
    },
  );

  test("give up with the last error", async () => {
    const { vectorizer, calls } = service(...Array.from({ length: 9 }, () => ({ status: 500 })));
    const result = await settle(withLimits(vectorizer, { retries: 2 }).embed(["a"], {}));
    expect(result).toMatchObject({ status: "rejected", reason: { message: "failed", status: 500 } });
    expect(calls).toHaveLength(3);
  });

  test.each([
    ["seconds", { responseHeaders: { "retry-after": "30" } }],
    ["a date", { headers: new Headers({ "Retry-After": new Date(Date.now() + 31_000).toUTCString() }) }],
    ["milliseconds", { headers: { "retry-after-ms": "30000", "retry-after": "99" } }],
  ])("wait as long as a server asks in %s", async (_, headers) => {
    vi.setSystemTime(Date.now());
    const { vectorizer, calls } = service({ status: 429, ...headers });
    await settle(withLimits(vectorizer, { backoff: 0 }).embed(["a"], {}));
    const waited = (calls[1] as number) - (calls[0] as number);
    expect(waited).toBeGreaterThanOrEqual(29_000);
    expect(waited).toBeLessThan(32_000);
  });

  test("fail where a server asks for too long a wait", async () => {
    const { vectorizer, calls } = service({ status: 429, headers: { "retry-after": "3600" } });
    expect(await settle(withLimits(vectorizer).embed(["a"], {}))).toMatchObject({ status: "rejected" });
    expect(calls).toHaveLength(1);
  });

  test("let in so many calls at once, requests a minute and texts a minute", async () => {
    const { vectorizer, calls, most } = service();
    const limited = withLimits(vectorizer, { concurrency: 2, requestsPerMinute: 5, textsPerMinute: 6 });
    await settle(
      Promise.all([2, 2, 2, 1, 1, 1, 1, 9, 1].map((count) => limited.embed(Array(count).fill("a"), {}))),
    );
    const from = calls[0] as number;
    const minutes = calls.map((at) => Math.floor((at - from) / 60_000));
    // Six texts; then five calls, as many as may be; then nine texts alone in their minute.
    expect(minutes).toEqual([0, 0, 0, 1, 1, 1, 1, 2, 3]);
    expect(most()).toBe(2);
  });

  test("end waiting at once when aborted, wherever it is", async () => {
    const { vectorizer, calls } = service({ status: 500 });
    const limited = withLimits(vectorizer, { concurrency: 1, requestsPerMinute: 1, backoff: "1m" });
    const abort = new AbortController();
    const waiting = Promise.allSettled([0, 1, 2].map(() => limited.embed(["a"], abort)));
    await vi.advanceTimersByTimeAsync(100);
    abort.abort(new Error("enough"));
    for (const result of await waiting) expect(result).toMatchObject({ reason: { message: "enough" } });
    expect(calls).toHaveLength(1);
    const next = limited.embed(["a"], {});
    expect(await settle(next)).toMatchObject({ status: "fulfilled" });
  });

  test.each([
    { concurrency: 0 },
    { requestsPerMinute: 0 },
    { textsPerMinute: 1.5 },
    { retries: -1 },
    { backoff: "x" },
  ])("refuse %o", (options) => expect(() => withLimits(service().vectorizer, options)).toThrow(badOption));
});

/** Recorded once; a change would make vectors of one model name that don't fit those in existing caches. */
const GOLDEN: readonly string[] = [
  ...["0", "bed105ec", "0", "3ed105ec", "bed105ec", "bed105ec", "bed105ec", "3ed105ec"],
  ...["be992f0c", "bdb37749", "bec60cdf", "bf02c024", "0", "be992f0c", "be58a276", "3f192f0c"],
];

/** The adapters with the packages that they adapt. */

import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Embeddings } from "@langchain/core/embeddings";
import { FakeEmbeddings } from "@langchain/core/utils/testing";
import { APICallError, embedMany } from "ai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fromAiSdk } from "../../src/vectors/vectorizers/ai-sdk.ts";
import { fromLangChain } from "../../src/vectors/vectorizers/langchain.ts";
import { withLimits } from "../../src/vectors/vectorizers/limits.ts";

describe("LangChain's embeddings", () => {
  class Lengths extends Embeddings {
    model = "lengths";
    async embedDocuments(texts: string[]): Promise<number[][]> {
      return texts.map((text) => [text.length, 1]);
    }
    async embedQuery(text: string): Promise<number[]> {
      return [text.length, 1];
    }
  }

  test("embed documents under the name of their model", async () => {
    const vectorizer = fromLangChain(new Lengths({}));
    expect(vectorizer.model).toBe("lengths");
    expect(await vectorizer.embed(["a", "bcd"], {})).toEqual([
      [1, 1],
      [3, 1],
    ]);
  });

  test("without a model go by their class, or by the name given", async () => {
    expect(fromLangChain(new FakeEmbeddings()).model).toBe("FakeEmbeddings");
    expect(fromLangChain(new FakeEmbeddings(), { model: "fake" }).model).toBe("fake");
    expect(await fromLangChain(new FakeEmbeddings()).embed(["a"], {})).toHaveLength(1);
  });
});

describe("a model of the AI SDK behind a server", () => {
  let server: Server;
  let batches: number[] = [];
  let failures: { status: number; headers: Record<string, string> }[] = [];

  beforeAll(async () => {
    server = createServer(async (request, response) => {
      const failure = failures.shift();
      if (failure !== undefined) {
        response.writeHead(failure.status, failure.headers).end("{}");
        return;
      }
      const { input } = (await bodyOf(request)) as { input: string[] };
      batches.push(input.length);
      const data = input.map((text, index) => ({ index, embedding: [text.length, 0.5] }));
      response.setHeader("content-type", "application/json").end(JSON.stringify({ data }));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });

  afterAll(() => void server.close());

  function model(maxEmbeddingsPerCall?: number) {
    batches = [];
    const provider = createOpenAICompatible({
      name: "local",
      baseURL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    });
    const embedding = provider.embeddingModel("lengths");
    if (maxEmbeddingsPerCall !== undefined)
      Object.assign(embedding, { config: { ...Reflect.get(embedding, "config"), maxEmbeddingsPerCall } });
    return embedding;
  }

  const texts = ["a", "bb", "ccc", "dddd", "eeeee"];
  const expected = texts.map((text) => [text.length, 0.5]);

  test("gives what embedMany gives", async () => {
    const vectorizer = fromAiSdk(model());
    expect(vectorizer.model).toBe("local.embedding/lengths");
    expect(await vectorizer.embed(texts, {})).toEqual(expected);
    expect((await embedMany({ model: model(), values: texts })).embeddings).toEqual(expected);
  });

  test("takes no more texts at once than it says", async () => {
    expect(await fromAiSdk(model(2)).embed(texts, {})).toEqual(expected);
    expect(batches.sort()).toEqual([1, 2, 2]);
  });

  test("is asked again when the server is busy, by the provider's own errors", async () => {
    failures = [
      { status: 429, headers: { "retry-after": "0" } },
      { status: 503, headers: {} },
    ];
    expect(await withLimits(fromAiSdk(model()), { backoff: 1 }).embed(texts, {})).toEqual(expected);
    failures = [{ status: 400, headers: {} }];
    await expect(withLimits(fromAiSdk(model()), { backoff: 1 }).embed(texts, {})).rejects.toSatisfy(
      APICallError.isInstance,
    );
    await expect(fromAiSdk(model()).embed(texts, { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
  });
});

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString());
}

/** Connections: the one we make ourselves, or the one that the user has already. */

import { QuiverError } from "../../shared/errors.ts";

/** A command's name and arguments. */
export type Command = readonly (string | Buffer)[];

/**
 * What the store needs of a client. Clients of `@redis/client` (and `redis`) have `sendCommand`, those of `ioredis`
 * and `iovalkey` have `callBuffer`; anything else with one of the two will do. Best without an offline queue: the
 * store must know that the server is gone, not wait for it.
 */
export type RedisLike =
  | {
      sendCommand(
        args: Command,
        options: { typeMapping: Readonly<Record<number, unknown>> },
      ): Promise<unknown>;
    }
  | { callBuffer(command: string, ...args: (string | Buffer)[]): Promise<unknown> };

/** Where our own connection goes. */
export interface RedisAddress {
  /** `redis[s]://[[user][:password]@]host[:port][/database]`. */
  readonly url?: string;
  /** Path of a Unix socket, in place of a URL. */
  readonly socketPath?: string;
  /** How long one attempt to connect may take, in milliseconds. */
  readonly connectTimeout: number;
}

/** Sends commands in the order of the calls; those of one turn of the event loop go out together. */
export interface Connection {
  /** Byte strings come back as Buffers. */
  send(command: Command): Promise<unknown>;
  /** Ends what was opened here; the user's own client stays as it is. */
  close(): void;
}

/** The type of RESP's byte strings, by which @redis/client is told to give Buffers. */
const BLOB_STRING = 36;
const AS_BUFFERS = { typeMapping: { [BLOB_STRING]: Buffer } } as const;

const LONGEST_PAUSE = 1000;

/** A connection over the user's client. */
export function connectionOver(client: RedisLike): Connection {
  const close = (): void => undefined;
  if ("callBuffer" in client && typeof client.callBuffer === "function") {
    return { send: ([name = "", ...args]) => client.callBuffer(String(name), ...args), close };
  }
  if ("sendCommand" in client && typeof client.sendCommand === "function") {
    return { send: (command) => client.sendCommand(command, AS_BUFFERS), close };
  }
  throw new QuiverError("ERR_QUIVER_BAD_OPTION", "client is not a client of Redis", {
    hint: "It has neither `sendCommand`, as @redis/client, nor `callBuffer`, as ioredis and iovalkey.",
    fix: "Pass a connected client of one of these packages, or a url.",
  });
}

/**
 * Starts to connect with @redis/client and goes on trying for as long as it takes; commands meanwhile are rejected at
 * once. ERR_QUIVER_UNSUPPORTED when the package isn't installed.
 */
export async function connect(address: RedisAddress): Promise<Connection> {
  const { createClient } = await loadClient();
  const { connectTimeout } = address;
  const reconnectStrategy = (retries: number): number =>
    Math.min(20 * 2 ** Math.min(retries, 10), LONGEST_PAUSE);
  const client = createClient({
    ...(address.url !== undefined && { url: address.url }),
    socket: {
      connectTimeout,
      reconnectStrategy,
      ...(address.socketPath !== undefined && { path: address.socketPath }),
    },
    disableOfflineQueue: true,
  });
  // Each command tells of the failure; without a listener the process would end.
  client.on("error", () => undefined);
  // Rejects when it is closed while it still tries.
  const connected = client.connect().catch(() => undefined);
  await Promise.race([connected, new Promise((resolve) => setTimeout(resolve, connectTimeout).unref())]);
  return { send: (command) => client.sendCommand([...command], AS_BUFFERS), close: () => client.destroy() };
}

async function loadClient(): Promise<typeof import("@redis/client")> {
  try {
    return await import("@redis/client");
  } catch (cause) {
    throw new QuiverError("ERR_QUIVER_UNSUPPORTED", "the package @redis/client can't be loaded", {
      hint: "It is an optional peer dependency; the Redis store needs it unless it is given a client.",
      fix: "Install it (`npm install @redis/client`), or pass a client of ioredis or iovalkey.",
      cause,
    });
  }
}

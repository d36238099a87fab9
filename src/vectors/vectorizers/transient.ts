/** Which failures of a service pass by themselves, and when. Errors are told apart by their shape, whoever made them. */

/** Of Node's network layer and of undici. */
const NETWORK_CODES: ReadonlySet<unknown> = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "EAI_AGAIN",
  "ENETUNREACH",
  "EHOSTUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
  "UND_ERR_SOCKET",
]);

/** Deepest cause that is looked at; causes may go in circles. */
const DEPTH = 5;

/** Whether the same call may succeed later: status 408, 425, 429 or 5xx, or a connection that failed. */
export function isTransient(error: unknown): boolean {
  for (const { status, code } of causes(error)) {
    if (status !== undefined) {
      return status === 408 || status === 425 || status === 429 || (status >= 500 && status <= 599);
    }
    if (NETWORK_CODES.has(code)) return true;
  }
  return false;
}

/** Milliseconds that the server asks to wait (Retry-After: seconds or a date, or retry-after-ms); 0 when it does not. */
export function retryAfter(error: unknown): number {
  for (const { headers } of causes(error)) {
    const milliseconds = Number(headerOf(headers, "retry-after-ms") ?? Number.NaN);
    if (milliseconds >= 0) return milliseconds;
    const text = headerOf(headers, "retry-after");
    if (text === undefined) continue;
    const wait = /^\s*\d+(\.\d+)?\s*$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
    if (wait > 0) return wait;
  }
  return 0;
}

interface Failure {
  readonly status: number | undefined;
  readonly code: unknown;
  readonly headers: unknown;
}

/** The error and its causes, each as what the common clients tell: fetch wrappers, the AI SDK, axios. */
function* causes(error: unknown): Generator<Failure> {
  let current: unknown = error;
  for (let depth = 0; depth < DEPTH && typeof current === "object" && current !== null; depth++) {
    const { status, statusCode, code, headers, responseHeaders, response, cause } = current as Fields;
    const answer = (typeof response === "object" && response !== null ? response : {}) as Fields;
    yield {
      status: [statusCode, status, answer.status].find((value) => typeof value === "number"),
      code,
      headers: responseHeaders ?? headers ?? answer.headers,
    };
    current = cause;
  }
}

interface Fields {
  readonly status?: unknown;
  readonly statusCode?: unknown;
  readonly code?: unknown;
  readonly headers?: unknown;
  readonly responseHeaders?: unknown;
  readonly response?: unknown;
  readonly cause?: unknown;
}

function headerOf(headers: unknown, name: string): string | undefined {
  if (typeof headers !== "object" || headers === null) return undefined;
  const { get } = headers as { get?: unknown };
  const found: unknown =
    typeof get === "function"
      ? get.call(headers, name)
      : Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
  return typeof found === "string" ? found : undefined;
}

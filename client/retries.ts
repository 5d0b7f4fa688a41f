import { ClientError } from './error.js';

/** Pauses between tries, in milliseconds, doubling from the first to the longest. */
export const PAUSE = { firstMs: 250, longestMs: 5_000 };

/** Sends again, at most `retries` times, while the gateway or what it needs is unavailable. */
export async function whileUnavailable<T>(
  retries: number,
  send: () => Promise<T>,
  signal?: AbortSignal | null,
): Promise<T> {
  for (let left = retries, pauseMs = PAUSE.firstMs; ; left--, pauseMs *= 2) {
    try {
      return await send();
    } catch (error) {
      if (!(error instanceof ClientError) || error.run || left <= 0 || !isUnavailable(error)) throw error;
      await pause(error.retryAfterMs ?? pauseMs, signal ?? undefined);
    }
  }
}

/** Sends again for as long as the gateway has no room for the request. */
export async function whenThereIsRoom<T>(send: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  for (let pauseMs = PAUSE.firstMs; ; pauseMs = Math.min(2 * pauseMs, PAUSE.longestMs)) {
    try {
      return await send();
    } catch (error) {
      if (!(error instanceof ClientError) || error.status !== 429 || signal?.aborted) throw error;
      await pause(error.retryAfterMs ?? pauseMs, signal);
    }
  }
}

/** Worth a retry while following a run: the gateway is unreachable or overloaded. */
export const isPassing = ({ status }: ClientError): boolean => status === 0 || status === 429 || status >= 500;
const UNAVAILABLE: ReadonlySet<string> = new Set([
  'GATEWAY_UNAVAILABLE',
  'ORCHESTRATOR_UNAVAILABLE',
  'BODY_MEMORY_FULL',
]);
/** The run was not started, it is unknown whether it was, or there was no memory for its document. */
const isUnavailable = ({ code }: ClientError): boolean => UNAVAILABLE.has(code);

/** Resolves after `ms` or when `signal` aborts. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end, { once: true });
    if (signal?.aborted) end();
  });
}

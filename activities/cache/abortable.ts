/** Resolves after `ms`; rejects with the signal's reason as soon as it aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/**
 * The result of `work`, or the signal's reason as soon as it aborts, or a timeout error after `ms`, even if the work
 * pays no attention to the signal it is given.
 */
export async function within<T>(
  ms: number,
  what: string,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const own = new AbortController();
  return new Promise<T>((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    };
    const stop = (reason: unknown) => {
      end();
      reject(reason);
      own.abort(reason);
    };
    const onAbort = () => stop(signal.reason);
    const timer = setTimeout(() => stop(new Error(`${what} took more than ${ms} ms`)), ms);
    signal.addEventListener('abort', onAbort, { once: true });
    Promise.resolve()
      .then(() => work(own.signal))
      .then(resolve, reject)
      .finally(end);
  });
}

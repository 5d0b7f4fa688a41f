/**
 * Runs `work` with a signal that aborts as `signal` does, or after `ms`. Not `AbortSignal.any` with `AbortSignal.timeout`:
 * Node 20 forgets such a timeout at the next garbage collection, and the work never ends.
 */
export async function limited<T>(
  ms: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const own = new AbortController();
  const forward = () => own.abort(signal.reason);
  const timer = setTimeout(() => own.abort(new DOMException(`no answer within ${ms} ms`, 'TimeoutError')), ms);
  signal.addEventListener('abort', forward, { once: true });
  try {
    return await work(own.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', forward);
  }
}

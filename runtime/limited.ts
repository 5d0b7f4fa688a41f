/**
 * A controller that aborts with `signal`, until `release`. Not `AbortSignal.any`: Node 20 garbage-collects a timeout
 * that only such a signal references, and anything waiting for it hangs.
 */
export function linkedAbort(signal: AbortSignal): { readonly own: AbortController; release(): void } {
  const own = new AbortController();
  const forward = () => own.abort(signal.reason);
  if (signal.aborted) forward();
  else signal.addEventListener('abort', forward, { once: true });
  return { own, release: () => signal.removeEventListener('abort', forward) };
}

/** A signal that aborts with `signal`, or after `ms` with a `TimeoutError`, until `release`. */
export function timeLimit(ms: number, signal: AbortSignal): { readonly signal: AbortSignal; release(): void } {
  const { own, release } = linkedAbort(signal);
  const expire = () => own.abort(new DOMException(`no answer within ${ms} ms`, 'TimeoutError'));
  const timer = setTimeout(expire, ms);
  return {
    signal: own.signal,
    release: () => {
      clearTimeout(timer);
      release();
    },
  };
}

/**
 * The result of `work`, which gets a signal that aborts with `signal` or after `ms`. Rejects as soon as that signal
 * aborts, with its reason or a `TimeoutError`, even if `work` ignores it.
 */
export function limited<T>(ms: number, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const { signal: own, release } = timeLimit(ms, signal);
    own.addEventListener('abort', () => reject(own.reason), { once: true });
    Promise.resolve()
      .then(() => work(own))
      .then(resolve, reject)
      .finally(release);
  });
}

/**
 * The result of `work`, or the signal's reason as soon as it aborts, even if `work` ignores it: a later result or error is dropped.
 */
export function untilAborted<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const leave = () => reject(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    work()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', leave));
  });
}

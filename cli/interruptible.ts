import { MillraceError } from '../pipelines/errors.js';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/**
 * Runs work whose signal aborts with `REQUEST_ABORTED` when the process is interrupted or told to end, so that it can put things back. A
 * second interruption ends the process at once.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const interrupted = new AbortController();
  const stop = () => {
    forget();
    interrupted.abort(new MillraceError('REQUEST_ABORTED', 'interrupted'));
  };
  const forget = () => {
    for (const name of SIGNALS) process.off(name, stop);
  };
  for (const name of SIGNALS) process.on(name, stop);
  try {
    return await work(interrupted.signal);
  } finally {
    forget();
  }
}

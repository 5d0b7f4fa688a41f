import type { CachePlaces } from './cache-key.js';
import type { Entries } from './entries.js';

/**
 * Renews a lease three times in its life until stopped, so that two lost renewals in a row do not hand it over. When it is
 * lost all the same, somebody else asks too: a second call of the model, no wrong answer.
 */
export function keepLease(entries: Entries, at: CachePlaces, owner: string, leaseMs: number): () => void {
  const timer = setInterval(() => {
    entries.renew(at, owner, leaseMs).then(
      (mine) => {
        if (!mine) clearInterval(timer);
      },
      () => undefined,
    );
  }, leaseMs / 3);
  timer.unref();
  return () => clearInterval(timer);
}

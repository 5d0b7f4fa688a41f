import type { SegmentJournal } from './redis-journal.js';

/** How often a lease is renewed before it could run out. */
const RENEWALS = 4;

/** A call takes up to a second to end: that long before its lease runs out unrenewed, it is told to. */
const TO_END_MS = 1_000;

/**
 * Renews the lease on a journal until `stop`. `lost` is called once: with `taken` when the record is another's or gone, with
 * `unreachable` when Redis has not answered for so long that the lease may run out.
 */
export function keepLease(
  journal: Pick<SegmentJournal, 'renew'>,
  leaseMs: number,
  lost: (why: 'taken' | 'unreachable') => void,
): { stop(): void } {
  let held = performance.now();
  let stopped = false;
  const stop = () => {
    stopped = true;
    clearInterval(timer);
  };
  const end = (why: 'taken' | 'unreachable') => {
    if (stopped) return;
    stop();
    lost(why);
  };
  const renew = async () => {
    const asked = performance.now();
    if (asked - held >= leaseMs - TO_END_MS) return end('unreachable');
    try {
      if (await journal.renew(leaseMs)) held = asked;
      else end('taken');
    } catch {
      // The next turn sees how long ago the last answer is.
    }
  };
  const timer = setInterval(() => void renew(), leaseMs / RENEWALS);
  return { stop };
}

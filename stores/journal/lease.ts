import type { SegmentJournal } from './redis-journal.js';
import type { Standing } from './scripts.js';

/** How often a lease is renewed before it could run out. */
const RENEWALS = 4;

/** A call takes up to a second to end: that long before its lease runs out unrenewed, it is told to. */
const TO_END_MS = 1_000;

/** Why a lease has ended; `unreachable`: Redis has not answered for so long that it may run out. */
export type LeaseEnd = Exclude<Standing, 'held'> | 'unreachable';

/** Renews the lease on a journal until `stop`. `lost` is called once. */
export function keepLease(
  journal: Pick<SegmentJournal, 'renew'>,
  leaseMs: number,
  lost: (why: LeaseEnd) => void,
): { stop(): void } {
  let held = performance.now();
  let stopped = false;
  const stop = () => {
    stopped = true;
    clearInterval(timer);
  };
  const end = (why: LeaseEnd) => {
    if (stopped) return;
    stop();
    lost(why);
  };
  const renew = async () => {
    const asked = performance.now();
    if (asked - held >= leaseMs - TO_END_MS) return end('unreachable');
    try {
      const standing = await journal.renew();
      if (standing === 'held') held = asked;
      else end(standing);
    } catch {
      // The next turn sees how long ago the last answer is.
    }
  };
  const timer = setInterval(() => void renew(), leaseMs / RENEWALS);
  return { stop };
}

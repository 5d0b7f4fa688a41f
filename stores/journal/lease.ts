import type { SegmentJournal } from './redis-journal.js';
import type { Standing } from './scripts.js';

/** Renewals within the length of a lease. */
const RENEWALS = 4;

/** A call takes up to a second to end: it is aborted this long before an unrenewed lease expires, in milliseconds. */
const TO_END_MS = 1_000;

/** Why a lease has ended. `unreachable`: Redis has not answered for so long that the lease may expire. */
export type LeaseEnd = Exclude<Standing, 'held'> | 'unreachable';

/** Renews the lease on a journal until `stop`. `lost` is called once at most. */
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
    const sentAt = performance.now();
    if (sentAt - held >= leaseMs - TO_END_MS) return end('unreachable');
    try {
      const standing = await journal.renew();
      if (standing === 'held') held = sentAt;
      else end(standing);
    } catch {
      // The next renewal checks the age of the last answer.
    }
  };
  const timer = setInterval(() => void renew(), leaseMs / RENEWALS);
  return { stop };
}

import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { guardedKey, SegmentJournal } from '../../stores/journal/index.js';
import { caught } from './caught.js';

/** Journals of fast hosts, each with a key of its own. */
export function fastJournals(redis: () => Redis, ttlMs: number) {
  const host = (leaseMs = 60_000) => {
    const key = guardedKey(`journal-test-${randomUUID()}`, 'guard');
    const options = { ttlMs, leaseMs };
    return {
      key,
      begin: () => SegmentJournal.begin(redis(), key, { ttlMs, leaseMs }),
      take: (untaken = false) => SegmentJournal.open(redis(), key, { ...options, untaken }),
      open: async () => (await SegmentJournal.open(redis(), key, options)).journal,
    };
  };

  /** A short lease under which a call has begun: none begins where the machine stands still for longer than the lease. */
  const begun = (leaseMs: number) =>
    caught('a lease', async () => {
      const of = host(leaseMs);
      const one = of.begin();
      const attempt = await one.begin('first').catch(() => 0);
      return attempt === 0 ? undefined : { ...of, one };
    });

  return { host, begun };
}

import { setTimeout as sleep } from 'node:timers/promises';
import type { Incident } from './incidents.js';
import type { Link } from './link.js';
import type { Seeded } from './seeded.js';

/** Longer than leases, heartbeats and the timeout of workflow tasks, in milliseconds. */
const CUT_MS = 12_000;
/** A repaired connection is noticed within a second. */
const SETTLED_MS = 1_000;

/** Cuts one worker off from a server that others still reach: as by a firewall, or as by a broken cable. */
export const cutOff = (link: Link, random: Seeded, mayHappen: () => boolean): Incident => ({
  mayHappen,
  async happen() {
    link.cut(random.next() < 0.5 ? 'silent' : 'refused');
    try {
      await sleep(CUT_MS);
    } finally {
      link.mend();
    }
    await sleep(SETTLED_MS);
  },
});

import { setTimeout as sleep } from 'node:timers/promises';
import type { Incident } from './incidents.js';
import type { Link } from './link.js';
import type { Replica } from './replica.js';

/** Longer than any stage's attempts last. */
const AWAY_MS = 60_000;
/** Long enough for dozens of calls, in milliseconds. */
const FAILING_MS = 20_000;

/** A model server is away for a minute: connections to it are refused. */
export const outage = (link: Link, mayHappen: () => boolean): Incident => ({
  mayHappen,
  async happen() {
    link.cut('refused');
    try {
      await sleep(AWAY_MS);
    } finally {
      link.mend();
    }
  },
});

/** One of two replicas fails every call at once. */
export const failingReplica = (replica: Replica, mayHappen: () => boolean): Incident => ({
  mayHappen,
  async happen() {
    replica.failing = true;
    try {
      await sleep(FAILING_MS);
    } finally {
      replica.failing = false;
    }
  },
});

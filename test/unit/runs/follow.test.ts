import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { beforeEach, expect, test } from 'vitest';
import type { RunDeps } from '../../../runs/deps.js';
import type { RunDocument } from '../../../runs/document.js';
import { followRun } from '../../../runs/follow.js';
import { RunEventReader } from '../../../stores/events/index.js';

/** Of each run, 0.8 MB. */
const EVENTS = 10_000;
const TEXT = JSON.stringify({ type: 'stage.delta', stage: 'answer', path: 'answer', attempt: 1, text: 'word ' });
const FOLLOWERS = 8;

let deps: RunDeps;
/** Followers that have got all events. */
let finished: number;
beforeEach(() => {
  const redis = {
    xrange: async (_key: string, from: string, _to: string, _count: string, count: number) => {
      const first = Number(from.slice(1).split('-')[0]);
      const length = Math.max(0, Math.min(count, EVENTS - first));
      return Array.from({ length }, (_, i) => [`${first + i + 1}-0`, ['e', TEXT]]);
    },
  };
  const subscriber = { on: () => subscriber, subscribe: async () => 1, unsubscribe: async () => 1 };
  const events = new RunEventReader(redis as unknown as Redis, subscriber as unknown as Redis);
  deps = { events } as unknown as RunDeps;
  finished = 0;
});

/** How many events a follower of a run that has ended gets. */
async function follow(tenant: string, gone = new AbortController().signal): Promise<number> {
  const document = { id: 'chat-1', status: 'succeeded' } as RunDocument;
  let count = 0;
  for await (const each of followRun(deps, { id: document.id, caller: { tenant } }, { gone, document })) {
    if ('event' in each) count += 1;
    else finished += 1;
  }
  return count;
}

test('those who read many stored events of a tenant do so at a pace, and hold up no other tenant', async () => {
  const began = performance.now();
  const all = Array.from({ length: FOLLOWERS }, () => follow('acme'));
  expect(await follow('other')).toBe(EVENTS);
  expect(finished).toBe(1);
  expect(await Promise.all(all)).toEqual(Array(FOLLOWERS).fill(EVENTS));
  // 6.6 MB at 4 MB a second, less the last page of each.
  expect(performance.now() - began).toBeGreaterThan(1_000);
});

test('a follower that leaves while it waits for its turn is done at once', async () => {
  const left = new AbortController();
  const all = Array.from({ length: FOLLOWERS }, () => follow('acme', left.signal));
  await sleep(100);
  left.abort();
  for (const count of await Promise.all(all)) expect(count).toBeLessThan(EVENTS);
  expect(finished).toBe(0);
});

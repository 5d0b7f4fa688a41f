import { describe, expect, it } from 'vitest';
import { HeldBack, MOST_AHEAD } from '../../../../activities/streams/held-back.js';
import { MemoryChannelLog } from '../../../../stores/channels/index.js';

/** A voice whose clock goes on only while it waits. */
async function voice(more: { readonly endsAt?: number } = {}) {
  const log = new MemoryChannelLog();
  const name = { run: 'r', path: 'speak', of: 'chunks' };
  const { signal } = new AbortController();
  await log.open(name, 'owner', 60_000);
  let now = 0;
  const slots: string[] = [];
  const clock = {
    now: () => now,
    sleep: async (ms: number) => {
      now += ms;
    },
    timer: () => ({ refresh: () => undefined, clear: () => undefined }),
  };
  const slot = { leave: () => slots.push('leaves') > 0, take: async () => void slots.push('takes') };
  const held = new HeldBack({ log, name, attempt: { signal, slot, ...more }, clock });
  const waitedFor = async (count: number) => {
    const before = now;
    await held.untilRead(count);
    return now - before;
  };
  return { log, name, slots, waitedFor };
}

describe('a voice that is ahead of its readers', () => {
  it('waits for none that has not said how far it is, and does not count itself', async () => {
    const { log, name, waitedFor } = await voice();
    await log.passed(name, 'speak', 0);
    expect(await waitedFor(1_000)).toBe(0);
  });

  it('is ahead by so many pieces at most, and gives up its slot meanwhile', async () => {
    const { log, name, slots, waitedFor } = await voice();
    await log.passed(name, 'slow', 1);
    await log.passed(name, 'quick', 40);
    expect(await waitedFor(MOST_AHEAD)).toBe(0);
    const needed = log.needed.bind(log);
    let looks = 0;
    log.needed = async (...given) => {
      looks += 1;
      if (looks === 4) await log.passed(name, 'slow', 2);
      return await needed(...given);
    };
    slots.length = 0;
    expect(await waitedFor(MOST_AHEAD + 1)).toBe(600);
    expect(slots).toEqual(['leaves', 'leaves', 'leaves', 'takes']);
  });

  it('waits a minute for one that does not go on, once, and again when it has gone on', async () => {
    const { log, name, waitedFor } = await voice();
    await log.passed(name, 'gone', 3);
    const minute = await waitedFor(100);
    expect(minute).toBeGreaterThan(60_000);
    expect(minute).toBeLessThan(61_000);
    expect(await waitedFor(101)).toBe(0);
    await log.passed(name, 'gone', 4);
    expect(await waitedFor(102)).toBeGreaterThan(60_000);
  });

  it('waits in the first half of its attempt only, however long its readers take', async () => {
    const { log, name, waitedFor } = await voice({ endsAt: performance.now() + 20_000 });
    await log.passed(name, 'gone', 3);
    const waited = await waitedFor(100);
    expect(waited).toBeGreaterThan(0);
    expect(waited).toBeLessThanOrEqual(10_000);
    await log.passed(name, 'gone', 4);
    expect(await waitedFor(101)).toBe(0);
  });

  it('goes on while the store is away', async () => {
    const { log, waitedFor } = await voice();
    log.needed = async () => {
      throw new Error('connection refused');
    };
    expect(await waitedFor(1_000)).toBe(0);
  });
});

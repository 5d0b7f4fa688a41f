import type { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import { Budget } from '../../../../activities/cache/index.js';

const MIB = 1024 * 1024;

/** A store whose memory is as full as a test wants it: a real one shows other keys' memory too. */
function fullStore(usedBytes: number, mostBytes: number) {
  const sent: Record<'info' | 'admit' | 'use' | 'shrink', number> = { info: 0, admit: 0, use: 0, shrink: 0 };
  const removed: number[] = [];
  const pipeline = { zadd: () => pipeline, zrem: () => pipeline, exec: async () => [] };
  const redis = {
    async info() {
      sent.info += 1;
      return `used_memory:${usedBytes}\r\nmaxmemory:${mostBytes}\r\n`;
    },
    zrevrange: async () => ['acme'],
    pipeline: () => pipeline,
    defineCommand(this: Record<string, unknown>, name: string, { lua }: { readonly lua: string }) {
      const which = lua.includes('savedMs') ? 'use' : lua.includes('ZADD') ? 'admit' : 'shrink';
      this[name] = async (_: number, ...args: readonly unknown[]) => {
        sent[which] += 1;
        const bytes = which === 'shrink' ? Number(args.at(-1)) : 0;
        if (which === 'shrink') removed.push(bytes);
        return ['1', [], bytes];
      };
    },
  };
  return { redis: redis as unknown as Redis, sent, removed: () => removed.reduce((sum, bytes) => sum + bytes, 0) };
}

const answers = Array.from({ length: 2_048 }, (_, n) => ({
  tenant: 'acme',
  partition: 'ab'.repeat(32),
  id: n.toString(16).padStart(32, '0'),
  bytes: 1_537,
}));

it('removes what a full store has too much, once, however many answers come at the same time', async () => {
  const store = fullStore(93 * MIB, 100 * MIB);
  const budget = new Budget(store.redis, 0, () => 1);
  await Promise.all(answers.map(({ bytes }) => budget.makeRoom(bytes)));
  // Each is expected to take 700 bytes more: keys, ledger and index.
  expect(store.removed()).toBe(3 * MIB + 2_048 * (1_537 + 700));
  expect(store.sent.info).toBe(1);
});

it('counts answers that are stored or used together in few calls', async () => {
  const store = fullStore(0, 0);
  const budget = new Budget(store.redis, 0, () => 1);
  await budget.storedAll(answers, 10, 60_000);
  await budget.used(...answers);
  expect(store.sent).toMatchObject({ admit: 32, use: 32 });
});

it('removes nothing below nine tenths, or where the store has no limit', async () => {
  for (const [used, most] of [
    [88 * MIB, 100 * MIB],
    [90 * MIB, 0],
  ] as const) {
    const store = fullStore(used, most);
    await new Budget(store.redis, 0, () => 1).makeRoom(MIB);
    expect(store.sent.shrink).toBe(0);
  }
});

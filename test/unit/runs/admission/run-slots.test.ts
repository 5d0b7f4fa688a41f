import type { Redis } from 'ioredis';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { RunSlots } from '../../../../runs/admission/run-slots.js';
import { scripted } from '../../../support/scripted.js';

const logger = pino({ level: 'silent' });
const failing = (message: string) => {
  const fail = () => Promise.reject(new Error(message));
  return { ...scripted(fail), set: fail, zrem: fail } as unknown as Redis;
};

test('while Redis is away a gateway bounds the runs that it knows of itself, and an end makes room', async () => {
  const ended = new Set<string>();
  const slots = new RunSlots({
    redis: failing('Connection is closed.'),
    stateOf: async (run) => (ended.has(run) ? 'ended' : 'running'),
    logger,
  });
  const take = (run: string, owner = 'tenant:acme') => slots.take(owner, 2, run);
  expect([await take('a'), await take('b'), await take('c')]).toEqual([true, true, false]);
  expect(await take('a'), 'asked for again').toBe(true);
  expect(await take('d', 'tenant:other'), 'another’s runs').toBe(true);
  slots.release('tenant:acme', 'a');
  expect([await take('c'), await take('d')]).toEqual([true, false]);
  ended.add('b');
  expect(await take('d'), 'an end that nobody has seen').toBe(true);
});

test('the runs from before the outage count', async () => {
  let up = true;
  const redis = {
    ...scripted(() => (up ? Promise.resolve(1) : Promise.reject(new Error('Connection is closed.')))),
  } as unknown as Redis;
  const slots = new RunSlots({ redis, stateOf: async () => 'running', logger });
  expect(await slots.take('key:1', 2, 'a')).toBe(true);
  expect(await slots.take('key:1', 2, 'b')).toBe(true);
  up = false;
  expect(await slots.take('key:1', 2, 'c')).toBe(false);
});

test('a full store refuses with its own code', async () => {
  const redis = failing("OOM command not allowed when used memory > 'maxmemory'.");
  const slots = new RunSlots({ redis, stateOf: async () => 'unknown', logger });
  await expect(slots.take('key:1', 2, 'a')).rejects.toMatchObject({
    code: 'STATE_STORE_FULL',
    details: { retryAfterMs: expect.any(Number) },
  });
});

import type { Redis } from 'ioredis';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { Admission } from '../../../../runs/admission/index.js';
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
  expect([await take('a'), await take('b'), await take('c')]).toEqual(['taken', 'taken', undefined]);
  expect(await take('a'), 'asked for again').toBe('held');
  expect(await take('d', 'tenant:other'), 'another’s runs').toBe('taken');
  slots.release('tenant:acme', 'a');
  expect([await take('c'), await take('d')]).toEqual(['taken', undefined]);
  ended.add('b');
  expect(await take('d'), 'an end that nobody has seen').toBe('taken');
});

test('the runs from before the outage count', async () => {
  let up = true;
  const redis = {
    ...scripted(() => (up ? Promise.resolve(1) : Promise.reject(new Error('Connection is closed.')))),
  } as unknown as Redis;
  const slots = new RunSlots({ redis, stateOf: async () => 'running', logger });
  expect(await slots.take('key:1', 2, 'a')).toBe('taken');
  expect(await slots.take('key:1', 2, 'b')).toBe('taken');
  up = false;
  expect(await slots.take('key:1', 2, 'c')).toBeUndefined();
});

test('a full store refuses with its own code', async () => {
  const redis = failing("OOM command not allowed when used memory > 'maxmemory'.");
  const slots = new RunSlots({ redis, stateOf: async () => 'unknown', logger });
  await expect(slots.take('key:1', 2, 'a')).rejects.toMatchObject({
    code: 'STATE_STORE_FULL',
    details: { retryAfterMs: expect.any(Number) },
  });
});

test.each([
  ['gives the slot back that it has taken', 1, 1],
  ['keeps a slot that the run has from an earlier request', 2, 0],
])('a request that is refused after all %s', async (_, reply, given) => {
  const back: string[] = [];
  const redis = {
    ...scripted(() => Promise.resolve(reply)),
    zrem: async (_: string, run: string) => back.push(run),
  } as unknown as Redis;
  const admission = new Admission({
    slots: new RunSlots({ redis, stateOf: async () => 'running', logger }),
    stateOf: async () => 'running',
    taskQueue: 'millrace',
    logger,
    registry: new Registry(),
  });
  const caller = { tenant: 'acme', runs: { of: 'key:1', most: 2 } };
  const leave = await admission.admit({ id: 'a-r1', pipeline: { name: 'a' } as never, placement: {}, caller });
  leave('refused');
  expect(back).toEqual(given === 1 ? ['a-r1'] : []);
  // The run has ended.
  leave();
  expect(back).toHaveLength(given + 1);
});

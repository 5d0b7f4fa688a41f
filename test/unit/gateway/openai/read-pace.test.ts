import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { chargeReads } from '../../../../gateway/openai/charged-reads.js';
import { Conversations } from '../../../../gateway/openai/conversations.js';
import type { StoredResponses } from '../../../../gateway/openai/stored-responses.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import { ReadPace } from '../../../../runs/read-pace.js';
import { LATE_ONCE } from '../../../support/soonest.js';

const LARGE = 32 * 1024 * 1024;

describe('the pace of reading conversations', () => {
  test('one after another for a tenant; more than a few are refused', async () => {
    const pace = new ReadPace();
    await pace.turn('acme', LARGE);
    const many = Promise.all(Array.from({ length: 12 }, () => pace.turn('acme', LARGE)));
    await expect(many).rejects.toMatchObject({ code: 'RATE_LIMITED', details: { retryAfterMs: expect.any(Number) } });
    // So does one whose size is known only when it has been read.
    pace.charge('third', LARGE);
    const began = performance.now();
    await pace.turn('third', LARGE / 100);
    expect(performance.now() - began).toBeGreaterThan(1_000);
    // Neither those of another tenant nor small ones wait.
    await pace.turn('other', LARGE);
    await pace.turn('acme', 1_000);
  });

  test('who has read much of unknown size owes a bounded time, and waits with more of it', LATE_ONCE, async () => {
    const pace = new ReadPace('runs', 8_000);
    const timed = async (tenant: string) => {
      const began = performance.now();
      await pace.turnOfUnknown(tenant);
      return performance.now() - began;
    };
    pace.charge('acme', 4_000_000);
    // One large run holds up nothing that may be small.
    expect(await timed('acme')).toBeLessThan(300);
    pace.charge('acme', 16_000_000);
    expect(await timed('acme')).toBeGreaterThan(500);
    // A hundred take 50 s at this pace.
    for (let n = 0; n < 100; n++) pace.charge('acme', 4_000_000);
    const refusals = await Promise.allSettled([pace.turn('acme', 4_000_000), pace.turnOfUnknown('acme')]);
    for (const each of refusals) {
      const { code, details } = (each as PromiseRejectedResult).reason as MillraceError;
      expect(code).toBe('RATE_LIMITED');
      expect(details.retryAfterMs).toBeLessThanOrEqual(20_000);
    }
    expect(await timed('other')).toBeLessThan(300);
  });

  test('of those that have waited and may be large a few are read at a time', LATE_ONCE, async () => {
    const pace = new ReadPace('runs', 8_000);
    pace.charge('acme', 10_000_000);
    let read = 0;
    const all = Array.from({ length: 50 }, async () => {
      await pace.turnOfUnknown('acme');
      read += 1;
      await sleep(20);
      pace.charge('acme', 8_000_000);
    });
    for (const each of all) each.catch(() => undefined);
    await sleep(1_500);
    expect(read).toBeGreaterThan(0);
    expect(read).toBeLessThan(10);
  });
});

describe('runs that a request refers to', () => {
  test('count as requests of its caller, never as more than it may make at once', async () => {
    const charge = vi.fn(async () => undefined);
    const deps = { authenticator: { charge } } as unknown as Parameters<typeof chargeReads>[0];
    const caller = { tenant: 'acme' };
    const rate = { of: 'tenant', limit: 5, windowS: 1, remaining: 4, resetMs: 1 } as const;
    await chargeReads(deps, caller, 64);
    await chargeReads(deps, { ...caller, rate }, 64);
    await chargeReads({}, caller, 64);
    expect(charge.mock.calls).toEqual([
      [caller, 16],
      // The request itself was the fifth.
      [{ ...caller, rate }, 4],
    ]);
  });

  test('are a bounded number of a conversation whose responses have failed, and are counted', async () => {
    const entries = [
      { created: 1, metadata: {} },
      ...Array.from({ length: 1_000 }, (_, i) => ({ response: `resp_a-${i}`, of: '', pipeline: 'a', items: [] })),
    ];
    const find = vi.fn(async () => {
      throw new MillraceError('RUN_NOT_FOUND', 'gone');
    });
    const charge = vi.fn(async () => undefined);
    const deps = { authenticator: { charge } } as unknown as ConstructorParameters<typeof Conversations>[0];
    const conversations = new Conversations(deps, { find } as unknown as StoredResponses);
    const conversation = { id: 'conv_1', createdAt: 1, metadata: {}, entries } as unknown as Parameters<
      Conversations['before']
    >[0];
    const refused = { code: 'INVALID_INPUT', details: { fields: [{ field: 'conversation' }] } };
    await expect(conversations.before(conversation, { tenant: 'acme' }, undefined)).rejects.toMatchObject(refused);
    expect(find.mock.calls.length).toBeLessThan(70);
    // Four of them count as a request; the first was counted with the request.
    expect(charge.mock.calls).toEqual(Array(Math.ceil((find.mock.calls.length - 1) / 4)).fill([{ tenant: 'acme' }, 1]));
    charge.mockClear();
    const rate = { of: 'tenant', limit: 5, windowS: 1, remaining: 4, resetMs: 1 } as const;
    await expect(conversations.before(conversation, { tenant: 'acme', rate }, undefined)).rejects.toMatchObject(
      refused,
    );
    expect(charge).toHaveBeenCalledTimes(4);
  });

  test('are none of what was said after the last of them', async () => {
    const entries = [
      { created: 1, metadata: {} },
      ...[1, 2, 3].map((n) => ({ items: [{ id: `item_${n}`, role: 'user', content: `said ${n}` }] })),
    ];
    const conversations = new Conversations({} as never, {} as never);
    const { turns, since } = await conversations.before({ entries } as never, { tenant: 'acme' }, undefined);
    expect(turns.map(({ message }) => message.content)).toEqual(['said 1', 'said 2', 'said 3']);
    expect(since).toEqual(turns);
  });
});

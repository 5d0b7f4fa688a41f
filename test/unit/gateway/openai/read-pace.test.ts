import { describe, expect, test, vi } from 'vitest';
import { chargeReads } from '../../../../gateway/openai/charged-reads.js';
import { Conversations } from '../../../../gateway/openai/conversations.js';
import { ReadPace } from '../../../../gateway/openai/read-pace.js';
import type { StoredResponses } from '../../../../gateway/openai/stored-responses.js';
import { MillraceError } from '../../../../pipelines/errors.js';

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

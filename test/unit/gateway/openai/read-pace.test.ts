import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { chargeReads } from '../../../../gateway/openai/charged-reads.js';
import { Conversations } from '../../../../gateway/openai/conversations.js';
import type { StoredResponses } from '../../../../gateway/openai/stored-responses.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import { ReadPace } from '../../../../runs/read-pace.js';

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

  test('a wait ends when the client leaves, and the turn is another one’s', async () => {
    const pace = new ReadPace();
    for (let n = 0; n < 3; n++) void pace.turn('acme', LARGE);
    const left = new AbortController();
    const all = [pace.turn('acme', LARGE, left.signal), pace.turn('acme', LARGE, left.signal)];
    const ends = Promise.allSettled(all);
    left.abort();
    for (const each of await ends) expect(each).toMatchObject({ reason: { code: 'REQUEST_ABORTED' } });
    // Three take six seconds; with the two that have left there would be no turn within ten, which is refused at once.
    const again = new AbortController();
    const last = expect(pace.turn('acme', LARGE, again.signal)).rejects.toMatchObject({ code: 'REQUEST_ABORTED' });
    again.abort();
    await last;
  });
});

describe('the pace of reading what may be small', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const MS = 8_000;
  /** How many of so many that would be read may be. */
  function beginning(pace: ReadPace, count: number, tenant = 'acme') {
    const seen = { begun: 0 };
    for (let n = 0; n < count; n++)
      pace.settled(tenant).then(
        () => {
          seen.begun += 1;
        },
        () => undefined,
      );
    return seen;
  }
  const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

  test('waits while more than a second is owed', async () => {
    const pace = new ReadPace('runs', MS);
    pace.charge('acme', 2_000 * MS);
    const seen = beginning(pace, 2);
    await pass(990);
    expect(seen.begun).toBe(0);
    await pass(20);
    expect(seen.begun).toBe(2);
  });

  test('who has read much owes a bounded time, and waits with more of it', async () => {
    const pace = new ReadPace('runs', MS);
    pace.charge('acme', 500 * MS);
    // One large run holds up nothing that may be small.
    const first = beginning(pace, 1);
    await pass();
    expect(first.begun).toBe(1);
    // A hundred take 50 s at this pace.
    for (let n = 0; n < 100; n++) pace.charge('acme', 500 * MS);
    await pass(1);
    const refusals = await Promise.allSettled([pace.turn('acme', 500 * MS), pace.settled('acme')]);
    for (const each of refusals) {
      const { code, details } = (each as PromiseRejectedResult).reason as MillraceError;
      expect(code).toBe('RATE_LIMITED');
      expect(details.retryAfterMs).toBeLessThanOrEqual(20_000);
    }
    const other = beginning(pace, 1, 'other');
    await pass();
    expect(other.begun).toBe(1);
    expect(() => pace.expectCounted('other')).not.toThrow();
    expect(() => pace.expectCounted('acme')).toThrow(MillraceError);
    await pass(2_000);
    expect(() => pace.expectCounted('acme')).not.toThrow();
  });

  test('a wait ends when the client leaves', async () => {
    const pace = new ReadPace('runs', MS);
    pace.charge('acme', 5_000 * MS);
    const left = new AbortController();
    const waits = expect(pace.settled('acme', left.signal)).rejects.toMatchObject({ code: 'REQUEST_ABORTED' });
    await pass(10);
    left.abort();
    await waits;
    await expect(pace.settled('acme', left.signal)).rejects.toMatchObject({ code: 'REQUEST_ABORTED' });
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

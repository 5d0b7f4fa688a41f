import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MillraceError } from '../../../../../pipelines/errors.js';
import type { JsonObject } from '../../../../../pipelines/json.js';
import { settle } from '../fakes.js';
import { embedded, open, vectorOf } from './batch-server.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('failures', () => {
  it('of some calls are theirs alone, and cost at most twice as many requests as there are calls', async () => {
    const texts = ['a', 'bad 1', 'c', 'd', 'e', 'bad 2', 'g', 'h'];
    const { call, sent, pass } = open({ answers: embedded });
    const replies = texts.map((text) => call({ text }));
    await pass();
    const ended = await Promise.allSettled(replies);
    for (const [i, text] of texts.entries()) {
      if (text.startsWith('bad')) {
        expect(ended[i]).toMatchObject({ reason: { code: 'BACKEND_REJECTED', message: `the server refuses ${text}` } });
      } else expect(ended[i]).toMatchObject({ value: { output: { embedding: vectorOf(text) } } });
    }
    expect(sent.length).toBeLessThan(2 * texts.length);
  });

  it.each([
    ['too few results', { embeddings: [[1]] }],
    ['no results', {}],
  ])('an answer with %s is nobody’s: each call is asked again', async (_, output) => {
    const { call, pass } = open({
      answers: (each) => (each.input.texts ? { output: output as JsonObject } : embedded(each)),
    });
    const replies = ['a', 'bc'].map((text) => call({ text }));
    await pass();
    expect((await Promise.all(replies)).map((each) => each.output)).toEqual([
      { embedding: vectorOf('a') },
      { embedding: vectorOf('bc') },
    ]);
  });

  it.each(['BACKEND_OVERLOADED', 'BACKEND_RATE_LIMITED', 'BACKEND_UNAUTHORIZED', 'MODEL_NOT_FOUND'] as const)(
    '%s is every call’s, and nothing is sent again',
    async (code) => {
      const { call, nth, sent, pass } = open();
      const replies = [call({ text: 'a' }), call({ text: 'b' })];
      await pass();
      await nth(0).fail(new MillraceError(code, 'not now', { retryAfterMs: 7 }));
      for (const reply of replies) await expect(reply).rejects.toMatchObject({ code, details: { retryAfterMs: 7 } });
      expect(sent).toHaveLength(1);
    },
  );

  it('a batch that is lost is repeated call by call, since one of them may be the reason', async () => {
    const { call, nth, texts, pass } = open();
    const keys = ['k', 'l'].map((idempotencyKey) => ({ idempotencyKey }));
    const replies = keys.map((key, i) => call({ text: `t${i}` }, key));
    await pass();
    await nth(0).fail(new MillraceError('BACKEND_UNAVAILABLE', 'connection lost'));
    for (const reply of replies) await expect(reply).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
    for (const [i, key] of keys.entries()) void call({ text: `t${i}` }, key);
    void call({ text: 'other' });
    void call({ text: 'new' });
    await pass();
    expect(texts().slice(1)).toEqual([['t0'], ['t1'], ['other', 'new']]);
  });

  it('a batch that has not been sent does not make its calls suspects', async () => {
    const { call, nth, texts, pass } = open();
    const keys = ['k', 'l'].map((idempotencyKey) => ({ idempotencyKey }));
    for (const key of keys) void call({ text: 'a' }, key);
    await pass();
    await nth(0).fail(new MillraceError('BACKEND_UNAVAILABLE', 'refused', { unsent: true }));
    for (const key of keys) void call({ text: 'a' }, key);
    await pass();
    expect(texts()[1]).toEqual(['a', 'a']);
  });
});

describe('calls that end early', () => {
  it('before the batch goes are not sent', async () => {
    const { call, texts, pass } = open();
    const cancelled = new AbortController();
    const reply = call({ text: 'a' }, { signal: cancelled.signal });
    void call({ text: 'b' });
    cancelled.abort(new Error('cancelled'));
    await expect(reply).rejects.toThrow('cancelled');
    await pass();
    expect(texts()).toEqual([['b']]);
    const all = new AbortController();
    void call({ text: 'c' }, { signal: all.signal });
    all.abort();
    await pass();
    expect(texts()).toHaveLength(1);
  });

  it('in mid-batch leave the others; the request ends with the last of them', async () => {
    const { call, nth, pass } = open();
    const [one, other] = [new AbortController(), new AbortController()];
    const replies = [call({ text: 'a' }, { signal: one.signal }), call({ text: 'b' }, { signal: other.signal })];
    await pass();
    one.abort(new Error('one'));
    await expect(replies[0]).rejects.toThrow('one');
    expect(nth(0).context.signal.aborted).toBe(false);
    other.abort(new Error('other'));
    await expect(replies[1]).rejects.toThrow('other');
    expect(nth(0).context.signal.aborted).toBe(true);
    const stays = [
      call({ text: 'a' }, { signal: AbortSignal.abort(new Error('gone')) }),
      call({ text: 'b' }),
      call({ text: 'c' }),
    ];
    await expect(stays[0]).rejects.toThrow('gone');
    await pass();
    await nth(1).answer({ output: { embeddings: [[2], [3]] } });
    expect((await Promise.all(stays.slice(1))).map(({ output }) => output.embedding)).toEqual([[2], [3]]);
  });

  it('because their time ran out go alone from then on, and so do those with them', async () => {
    const { call, nth, texts, pass } = open();
    const late = new AbortController();
    void call({ text: 'a' }, { idempotencyKey: 'k', signal: late.signal });
    void call({ text: 'b' }, { idempotencyKey: 'l' });
    await pass();
    late.abort(new MillraceError('STAGE_TIMEOUT', 'too long'));
    await nth(0).fail(new MillraceError('BACKEND_ERROR', 'broken'));
    // What is left of the batch is sent again at once, here alone.
    expect(texts().slice(1)).toEqual([['b']]);
    for (const idempotencyKey of ['k', 'l']) void call({ text: idempotencyKey }, { idempotencyKey });
    await settle();
    expect(texts().slice(2)).toEqual([['k'], ['l']]);
  });
});

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Backend, Call, CallContext, Joining, Reply } from '../../../../../activities/connectors/connector.js';
import { MicroBatches, Suspects } from '../../../../../activities/pools/micro-batch/index.js';
import { MillraceError } from '../../../../../pipelines/errors.js';
import type { Json, JsonObject } from '../../../../../pipelines/json.js';
import { settle } from '../fakes.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

interface Sent {
  readonly call: Call;
  readonly context: CallContext;
  answer(reply: Reply): Promise<void>;
  fail(error: Error): Promise<void>;
}

/** The texts that a request has for the model. */
const textsOf = ({ text, texts, pairs }: JsonObject): readonly string[] =>
  (texts ?? (pairs as JsonObject[] | undefined)?.map((pair) => pair.text) ?? [text]) as string[];

function open({
  most = 8,
  tenants = 'together',
  inFlight = () => undefined,
  answers,
}: {
  readonly most?: number;
  readonly tenants?: Joining['tenants'];
  readonly inFlight?: () => number | undefined;
  /** What the server makes of a request at once. Absent: it stays open. */
  readonly answers?: (call: Call) => Reply;
} = {}) {
  const sent: Sent[] = [];
  const sizes: number[] = [];
  const invoke = (call: Call, context: CallContext) =>
    new Promise<Reply>((resolve, reject) => {
      context.signal.addEventListener('abort', () => reject(context.signal.reason));
      const then = async (end: () => void) => {
        end();
        await settle();
      };
      sent.push({
        call,
        context,
        answer: (reply) => then(() => resolve(reply)),
        fail: (error) => then(() => reject(error)),
      });
      if (!answers) return;
      try {
        resolve(answers(call));
      } catch (error) {
        reject(error);
      }
    });
  const batches = new MicroBatches({
    backend: { invoke } as unknown as Backend,
    config: { waitMs: 5, most },
    joining: { tenants },
    suspects: new Suspects(),
    inFlight,
    sent: (calls) => void sizes.push(calls),
  });
  let calls = 0;
  const call = (input: JsonObject, context: Partial<CallContext> = {}, more: Partial<Call> = {}) => {
    const reply = batches.invoke(
      { kind: 'embed', model: 'm', with: {}, input, ...more },
      {
        signal: new AbortController().signal,
        audio: { read: never, write: never },
        emit: () => undefined,
        checkpoint: () => undefined,
        idempotencyKey: `call-${calls++}`,
        ...context,
      },
    );
    reply.catch(() => undefined);
    return reply;
  };
  const nth = (i: number): Sent => {
    const found = sent[i];
    if (!found) throw new Error(`no request ${i}`);
    return found;
  };
  const pass = async (ms = 5) => {
    await vi.advanceTimersByTimeAsync(ms);
    await settle();
  };
  return { call, sent, nth, pass, sizes, texts: () => sent.map(({ call: { input } }) => textsOf(input)) };
}

function never(): never {
  throw new Error('no audio');
}

/** A vector that tells its text. */
const vectorOf = (text: string): number[] => [text.length, text.charCodeAt(0)];
const embedded = (call: Call): Reply => {
  const texts = textsOf(call.input);
  const bad = texts.filter((text) => text.startsWith('bad'));
  if (bad.length > 0) throw new MillraceError('BACKEND_REJECTED', `the server refuses ${bad.join(', ')}`);
  const embeddings = texts.map(vectorOf);
  return { output: call.input.texts ? { embeddings } : { embedding: embeddings[0] as Json } };
};

describe('calls at the same time', () => {
  it('go out as one after the wait, and each gets its own result', async () => {
    const { call, sent, pass, nth, sizes } = open();
    const replies = [call({ text: 'one' }), call({ texts: ['two', 'three'] }), call({ text: 'four' })];
    await pass(4);
    expect(sent).toEqual([]);
    await pass(1);
    expect(sent.map((each) => each.call)).toEqual([
      { kind: 'embed', model: 'm', with: {}, input: { texts: ['one', 'two', 'three', 'four'] } },
    ]);
    await nth(0).answer({ output: { embeddings: [[1], [2], [3], [4]] }, usage: { inputTokens: 10 } });
    expect((await Promise.all(replies)).map(({ output }) => output)).toEqual([
      { embedding: [1] },
      { embeddings: [[2], [3]] },
      { embedding: [4] },
    ]);
    const used = (await Promise.all(replies)).map(({ usage }) => usage?.inputTokens ?? 0);
    expect(used.reduce((sum, each) => sum + each, 0)).toBe(10);
    expect(used[1]).toBeGreaterThan(used[0] ?? 0);
    expect(sizes).toEqual([3]);
  });

  it('go out at once when there are enough texts, and no more than that together', async () => {
    const { call, texts, pass } = open({ most: 3 });
    for (const text of ['a', 'b']) void call({ text });
    void call({ texts: ['c', 'd'] });
    await settle();
    expect(texts()).toEqual([['a', 'b']]);
    void call({ text: 'e' });
    await settle();
    expect(texts()).toEqual([
      ['a', 'b'],
      ['c', 'd', 'e'],
    ]);
    void call({ texts: ['f', 'g', 'h'] });
    void call({ text: 'i' });
    await pass();
    expect(texts().slice(2)).toEqual([['f', 'g', 'h'], ['i']]);
  });

  it('do not wait when no other can come', async () => {
    const { call, texts } = open({ inFlight: () => 2 });
    void call({ text: 'a' });
    void call({ text: 'b' });
    await settle();
    expect(texts()).toEqual([['a', 'b']]);
  });

  it('that are alone are sent as they are', async () => {
    const { call, nth, pass } = open();
    const reply = call({ text: 'a' }, { tenant: 't', traceparent: 'x' });
    await pass();
    expect(nth(0).call.input).toEqual({ text: 'a' });
    expect(nth(0).context).toMatchObject({ idempotencyKey: 'call-0', tenant: 't', traceparent: 'x' });
    await nth(0).answer({ output: { embedding: [1] }, usage: { inputTokens: 3 } });
    expect(await reply).toEqual({ output: { embedding: [1] }, usage: { inputTokens: 3 } });
  });

  it('of media, of other kinds and with progress of their own are not gathered', async () => {
    const { call, sent } = open();
    void call({ image: { uri: 'x' } });
    void call({ texts: [] });
    void call({ text: 'a' }, { resumeFrom: { job: 1 } });
    void call({ image: { uri: 'x' } }, {}, { kind: 'classify', with: { labels: ['a'] } });
    void call({ query: 'q', passages: [] }, {}, { kind: 'rerank' });
    void call({ prompt: 'p' }, {}, { kind: 'chat' });
    await settle();
    expect(sent).toHaveLength(6);
  });

  it('are not put together where their options, priorities or models differ', async () => {
    const { call, texts, pass } = open();
    void call({ text: 'a' });
    void call({ text: 'b' }, { priority: 'batch' });
    void call({ text: 'c' }, {}, { with: { as: 'query' } });
    void call({ text: 'd' }, {}, { model: 'n' });
    void call({ text: 'e' });
    await pass();
    expect(texts().toSorted()).toEqual([['a', 'e'], ['b'], ['c'], ['d']]);
  });

  it.each<[Joining['tenants'], string[][]]>([
    ['apart', [['a', 'c'], ['b', 'd'], ['e']]],
    ['together', [['a', 'b', 'c', 'd', 'e']]],
  ])('of several tenants go %s', async (tenants, expected) => {
    const { call, texts, nth, pass } = open({ tenants });
    for (const [text, tenant] of [
      ['a', 'x'],
      ['b', 'y'],
      ['c', 'x'],
      ['d', 'y'],
      ['e', undefined],
    ] as const) {
      void call({ text }, tenant === undefined ? {} : { tenant });
    }
    await pass();
    expect(texts()).toEqual(expected);
    // A request of several tenants names none.
    expect(nth(0).context.tenant).toBe(tenants === 'apart' ? 'x' : undefined);
  });

  it('of several conversations go apart, each with what its router chooses a server by', async () => {
    const { call, texts, sent, pass } = open();
    for (const [text, affinity] of [
      ['a', 'x'],
      ['b', 'y'],
      ['c', 'x'],
      ['d', 'y'],
    ] as const) {
      void call({ text }, { affinity });
    }
    await pass();
    expect(texts()).toEqual([
      ['a', 'c'],
      ['b', 'd'],
    ]);
    expect(sent.map(({ context }) => context.affinity)).toEqual(['x', 'y']);
  });

  it('have the latest deadline, and a key that is the same for the same calls', async () => {
    const { call, nth, pass } = open();
    const repeated = { idempotencyKey: 'k', endsAt: 50 };
    void call({ text: 'a' }, repeated);
    void call({ text: 'b' }, { idempotencyKey: 'l', endsAt: 90 });
    await pass();
    expect(nth(0).context.endsAt).toBe(90);
    void call({ text: 'a' }, repeated);
    void call({ text: 'b' }, { idempotencyKey: 'l' });
    await pass();
    expect(nth(1).context.idempotencyKey).toBe(nth(0).context.idempotencyKey);
    expect(nth(1).context.endsAt).toBeUndefined();
    void call({ text: 'a' }, repeated);
    void call({ text: 'b' }, { idempotencyKey: 'm' });
    await pass();
    expect(nth(2).context.idempotencyKey).not.toBe(nth(0).context.idempotencyKey);
  });
});

describe('other kinds', () => {
  it('classify: a result for each text', async () => {
    const labels = { kind: 'classify', with: { labels: ['x', 'y'] } };
    const { call, nth, pass } = open();
    const replies = [call({ text: 'a' }, {}, labels), call({ text: 'b' }, {}, labels)];
    await pass();
    expect(nth(0).call).toMatchObject({ kind: 'classify', input: { texts: ['a', 'b'] }, with: { labels: ['x', 'y'] } });
    const results = [{ label: 'x' }, { label: 'y' }] as unknown as Json;
    await nth(0).answer({ output: { results } });
    expect((await Promise.all(replies)).map(({ output }) => output)).toEqual([{ label: 'x' }, { label: 'y' }]);
  });

  it('rerank: calls of different queries, each with its own best passages', async () => {
    const rerank = { kind: 'rerank', with: { top: 1 } };
    const { call, nth, pass } = open();
    const passages = (...texts: string[]) => texts.map((text) => ({ id: text, text, metadata: { of: text } }));
    const replies = [
      call({ query: 'p', passages: passages('a', 'b') }, {}, rerank),
      call({ query: 'q', passages: passages('c') }, {}, rerank),
    ];
    await pass();
    expect(nth(0).call.input).toEqual({
      pairs: [
        { query: 'p', text: 'a' },
        { query: 'p', text: 'b' },
        { query: 'q', text: 'c' },
      ],
    });
    await nth(0).answer({ output: { scores: [0.1, 0.9, 0.5] } });
    expect((await Promise.all(replies)).map(({ output }) => output)).toEqual([
      { passages: [{ ...passages('b')[0], score: 0.9 }] },
      { passages: [{ ...passages('c')[0], score: 0.5 }] },
    ]);
  });
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

it('whatever the calls are, each gets what is its own', async () => {
  let state = 7;
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return Math.floor((state / 0x80000000) * below);
  };
  for (let round = 0; round < 200; round++) {
    const { call, pass } = open({ most: 2 + random(9), answers: embedded });
    const inputs = Array.from({ length: 1 + random(20) }, (_, i) => {
      const texts = Array.from(
        { length: random(4) },
        (__, j) => `${random(8) === 0 ? 'bad' : 'good'} ${i} ${j}${'x'.repeat(random(9))}`,
      );
      return texts.length === 0 ? { text: `${random(8) === 0 ? 'bad' : 'fine'} ${i}` } : { texts };
    });
    const replies = inputs.map((input) => call(input));
    await pass();
    for (const [i, result] of (await Promise.allSettled(replies)).entries()) {
      const texts = textsOf(inputs[i] as JsonObject);
      const bad = texts.filter((text) => text.startsWith('bad'));
      if (bad.length > 0) expect(result).toMatchObject({ reason: { message: `the server refuses ${bad.join(', ')}` } });
      else if ('texts' in (inputs[i] ?? {}))
        expect(result).toMatchObject({ value: { output: { embeddings: texts.map(vectorOf) } } });
      else expect(result).toMatchObject({ value: { output: { embedding: vectorOf(texts[0] ?? '') } } });
    }
  }
});

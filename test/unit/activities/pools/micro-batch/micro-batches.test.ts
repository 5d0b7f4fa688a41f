import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Joining } from '../../../../../activities/connectors/connector.js';
import type { Json, JsonObject } from '../../../../../pipelines/json.js';
import { settle } from '../fakes.js';
import { embedded, open, textsOf, vectorOf } from './batch-server.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

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

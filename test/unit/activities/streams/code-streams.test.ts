import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { code, codeStream, pipeline, streamOf } from '../../../../pipelines/index.js';
import { MemoryChannelLog } from '../../../../stores/channels/index.js';
import { runFunctions as run } from '../../../support/run-functions.js';

const RETRY = { attempts: 3, backoff: { initial: '1ms' } } as const;
const number = z.object({ n: z.number() });
const gone = () => Object.assign(new Error('gone'), { code: 'BACKEND_UNAVAILABLE' });

/** Yields the numbers below `n`, and notes what it does. */
const counting = (
  body: (n: number, resumeFrom: () => { count: number; last: number } | undefined) => AsyncGenerator<number>,
) =>
  codeStream('numbers', { input: number, entry: z.number() }, (input, context) =>
    body(input.n, () => context.resumeFrom),
  );

/** Adds up what it reads; `seen` has what it has read over all attempts. */
const adding = (seen: number[] = [], each: (value: number) => unknown = () => undefined) =>
  code(
    'sum',
    { input: z.object({ values: streamOf(z.number()) }), output: z.object({ sum: z.number() }) },
    async ({ values }) => {
      let sum = 0;
      for await (const value of values) {
        seen.push(value);
        await each(value);
        sum += value;
      }
      return { sum };
    },
  );

const summing = (producer: ReturnType<typeof counting>, reader = adding(), options = {}) =>
  pipeline('summing', { input: number }, ({ input, stage }) => {
    const made = stage('made', producer, { n: input.n }, { retry: RETRY, ...options });
    const { sum } = stage('sum', reader, { values: made.entries }, { retry: RETRY });
    return { sum, items: made.items };
  });

describe('a function that yields', () => {
  it('is read while it runs', async () => {
    let taken: (value: number) => void = () => undefined;
    const made: string[] = [];
    const of = summing(
      counting(async function* (n) {
        for (let i = 0; i < n; i++) {
          const read = new Promise<number>((resolve) => {
            taken = resolve;
          });
          yield i;
          made.push(`read ${await read}`);
        }
      }),
      adding([], (value) => taken(value)),
    );
    expect(await run(of, { n: 3 })).toMatchObject({ output: { sum: 3, items: [0, 1, 2] } });
    expect(made).toEqual(['read 0', 'read 1', 'read 2']);
  });

  it('gives the same on a host without channels', async () => {
    const of = summing(
      counting(async function* (n) {
        for (let i = 0; i < n; i++) yield i;
      }),
    );
    expect(await run(of, { n: 4 }, null)).toMatchObject({ output: { sum: 6, items: [0, 1, 2, 3] } });
  });

  it('goes on behind what is committed when it is tried again', async () => {
    const seen: number[] = [];
    const begun: unknown[] = [];
    const of = summing(
      counting(async function* (n, resumeFrom) {
        begun.push(resumeFrom());
        for (let i = resumeFrom()?.count ?? 0; i < n; i++) {
          yield i;
          if (i % 2 === 1 && i < n - 1) throw gone();
        }
      }),
      adding(seen),
    );
    expect(await run(of, { n: 5 })).toMatchObject({ output: { sum: 10, items: [0, 1, 2, 3, 4] } });
    expect(seen).toEqual([0, 1, 2, 3, 4]);
    expect(begun).toEqual([undefined, { count: 2, last: 1 }, { count: 4, last: 3 }]);
  });

  it('may yield the same again: what is committed is dropped', async () => {
    const seen: number[] = [];
    let attempts = 0;
    const of = summing(
      counting(async function* (n) {
        attempts += 1;
        for (let i = 0; i < n; i++) {
          if (attempts === 1 && i === 2) throw gone();
          yield i;
        }
      }),
      adding(seen),
    );
    expect(await run(of, { n: 4 })).toMatchObject({ output: { sum: 6, items: [0, 1, 2, 3] } });
    expect(seen).toEqual([0, 1, 2, 3]);
  });

  it.each([
    ['something else', (attempt: number, i: number) => attempt * 10 + i, 4],
    ['less', (_: number, i: number) => i, 1],
  ])('is cut when another attempt yields %s, or ends with what is there', async (_, valueAt, again) => {
    const producer = () => {
      let attempts = 0;
      return counting(async function* (n) {
        attempts += 1;
        for (let i = 0; i < (attempts === 1 ? n : again); i++) {
          if (attempts === 1 && i === 2) throw gone();
          yield valueAt(attempts, i);
        }
      });
    };
    expect(await run(summing(producer()), { n: 4 })).toMatchObject({ code: 'STREAM_CUT' });
    const ends = await run(summing(producer(), adding(), { onCut: 'end' }), { n: 4 });
    expect(ends.output).toMatchObject({ items: [valueAt(1, 0), valueAt(1, 1)] });
    expect(() => summing(producer(), adding(), { onCut: 'restart' })).toThrow('made.onCut');
  });

  it('is ended when the run is cancelled, and yields nothing more', async () => {
    const abort = new AbortController();
    const seen: number[] = [];
    let ended = false;
    const of = summing(
      counting(async function* (n) {
        try {
          for (let i = 0; i < n; i++) {
            yield i;
            if (i === 2) abort.abort(new Error('cancelled'));
          }
        } finally {
          ended = true;
        }
      }),
      adding(seen),
    );
    await run(of, { n: 1_000 }, undefined, abort.signal);
    await expect.poll(() => ended).toBe(true);
    expect(seen.length).toBeLessThanOrEqual(3);
  });

  it('is held back by a reader that lags, without a limit on what passes', async () => {
    const ahead: number[] = [];
    let read = 0;
    const text = 'x'.repeat(1_000);
    const producer = codeStream('texts', { input: number, entry: z.string() }, async function* ({ n }) {
      for (let i = 0; i < n; i++) {
        yield text;
        ahead.push(i + 1 - read);
      }
    });
    const reader = code(
      'lengths',
      { input: z.object({ texts: streamOf(z.string()) }), output: z.object({ sum: z.number() }) },
      async ({ texts }) => {
        let sum = 0;
        for await (const each of texts) {
          await sleep(1);
          read += 1;
          sum += each.length;
        }
        return { sum };
      },
    );
    const of = pipeline('texts', { input: number }, ({ input, stage }) => {
      const made = stage('made', producer, { n: input.n });
      return { sum: stage('sum', reader, { texts: made.entries }).sum };
    });
    expect(await run(of, { n: 60 }, new MemoryChannelLog({ mostBytes: 10_000 }))).toMatchObject({
      output: { sum: 60_000 },
    });
    expect(Math.max(...ahead)).toBeLessThan(20);
  });

  /** Yields 30 numbers, and fails once when readers have passed most of them; the store has room for some ten. */
  const dropping = (valueAt: (attempt: number, i: number) => number, seen: number[] = [], options = {}) => {
    let read: (value: number) => void = () => undefined;
    let attempts = 0;
    const producer = counting(async function* (n, resumeFrom) {
      attempts += 1;
      for (let i = resumeFrom()?.count ?? 0; i < n; i++) {
        const taken = new Promise<number>((resolve) => {
          read = resolve;
        });
        yield valueAt(attempts, i);
        if (attempts > 1) continue;
        await taken;
        if (i === 25) throw gone();
      }
    });
    const of = summing(
      producer,
      adding(seen, (value) => read(value)),
      options,
    );
    return run(of, { n: 30 }, new MemoryChannelLog({ mostBytes: 500 }));
  };

  it('yields again what the store has dropped behind its readers, who do not read it again', async () => {
    const seen: number[] = [];
    const all = Array.from({ length: 30 }, (_, i) => i);
    expect(await dropping((_, i) => i, seen)).toMatchObject({ output: { sum: 435, items: all } });
    expect(seen).toEqual(all);
  });

  it.each([2, 22])('is cut when number %s is another one then', async (at) => {
    const valueAt = (attempt: number, i: number) => (attempt > 1 && i === at ? -1 : i);
    expect(await dropping(valueAt)).toMatchObject({ code: 'STREAM_CUT' });
    // The beginning of the result is gone.
    expect(await dropping(valueAt, [], { onCut: 'end' })).toMatchObject({ code: 'STREAM_CUT' });
  });

  it('may yield no more than a result can hold', async () => {
    let yielded = 0;
    const producer = codeStream('big', { input: number, entry: z.string() }, async function* () {
      for (;;) {
        yielded += 1;
        yield 'x'.repeat(100_000);
      }
    });
    const of = pipeline('big', { input: number }, ({ input, stage }) => {
      const made = stage('made', producer, { n: input.n }, { retry: { attempts: 1 } });
      return { items: made.items };
    });
    expect(await run(of, { n: 1 })).toMatchObject({ code: 'RESULT_TOO_LARGE' });
    expect(yielded).toBeLessThan(20);
  });

  it('that yields what its schema does not allow, or nothing at all, fails', async () => {
    const wrong = counting(async function* () {
      yield 'one' as unknown as number;
    });
    expect(await run(summing(wrong), { n: 1 })).toMatchObject({ code: 'INVALID_OUTPUT' });
    const none = counting((() => Promise.resolve(1)) as never);
    expect(await run(summing(none), { n: 1 })).toMatchObject({
      code: 'INVALID_OUTPUT',
      message: expect.stringContaining('async function*'),
    });
  });
});

describe('a function that reads a stream', () => {
  const numbers = counting(async function* (n) {
    for (let i = 0; i < n; i++) yield i;
  });

  it('reads it from the beginning when it is tried again', async () => {
    const seen: number[] = [];
    let failed = false;
    const reader = adding(seen, (value) => {
      if (value !== 2 || failed) return;
      failed = true;
      throw gone();
    });
    expect(await run(summing(numbers, reader), { n: 4 })).toMatchObject({ output: { sum: 6 } });
    expect(seen).toEqual([0, 1, 2, 0, 1, 2, 3]);
  });

  it('and yields goes on behind what it had read when it yielded last', async () => {
    const seen: number[] = [];
    let failures = 0;
    const doubled = codeStream(
      'pairs',
      { input: z.object({ values: streamOf(z.number()) }), entry: z.number() },
      async function* ({ values }, { resumeFrom }) {
        void resumeFrom;
        let pair: number[] = [];
        for await (const value of values) {
          seen.push(value);
          if (value === 3 && failures++ === 0) throw gone();
          pair.push(value);
          if (pair.length < 2) continue;
          yield pair.reduce((sum, each) => sum + each, 0);
          pair = [];
        }
      },
    );
    const of = pipeline('pairs', { input: number }, ({ input, stage }) => {
      const made = stage('made', numbers, { n: input.n });
      const pairs = stage('pairs', doubled, { values: made.entries }, { retry: RETRY });
      return { pairs: pairs.items, sum: stage('sum', adding(), { values: pairs.entries }).sum };
    });
    const expected = { output: { pairs: [1, 5, 9], sum: 15 } };
    expect(await run(of, { n: 6 })).toMatchObject(expected);
    expect(seen).toEqual([0, 1, 2, 3, 2, 3, 4, 5]);
    expect(await run(of, { n: 6 }, null)).toMatchObject(expected);
  });

  it('may leave it before its end, and its producer goes on', async () => {
    const first = code(
      'first',
      { input: z.object({ values: streamOf(z.number()) }), output: z.object({ first: z.number() }) },
      async ({ values }) => {
        for await (const value of values) return { first: value };
        return { first: -1 };
      },
    );
    const of = pipeline('first', { input: number }, ({ input, stage }) => {
      const made = stage('made', numbers, { n: input.n });
      return { first: stage('first', first, { values: made.entries }).first, items: made.items };
    });
    const { output } = await run(of, { n: 200 }, new MemoryChannelLog({ mostBytes: 2_000 }));
    expect(output).toMatchObject({ first: 0 });
    expect((output as { items: number[] }).items).toHaveLength(200);
  });

  it('has the attempt’s timeout for each entry, without the time that it waits', async () => {
    const slow = counting(async function* (n) {
      for (let i = 0; i < n; i++) {
        await sleep(60);
        yield i;
      }
    });
    const timed = (reader: ReturnType<typeof adding>) =>
      pipeline('timed', { input: number }, ({ input, stage }) => {
        const made = stage('made', slow, { n: input.n });
        const options = { timeout: { attempt: '150ms' }, retry: { attempts: 1 } } as const;
        return { sum: stage('sum', reader, { values: made.entries }, options).sum };
      });
    expect(await run(timed(adding()), { n: 5 })).toMatchObject({ output: { sum: 10 } });
    const never = adding([], () => new Promise(() => undefined));
    expect(await run(timed(never), { n: 5 })).toMatchObject({ code: 'STAGE_TIMEOUT' });
  });

  it('fails where an entry does not fit its schema', async () => {
    const small = code(
      'small',
      { input: z.object({ values: streamOf(z.number().max(0)) }), output: number },
      async ({ values }) => {
        for await (const value of values) if (value > 0) return { n: value };
        return { n: 0 };
      },
    );
    const of = pipeline('small', { input: number }, ({ input, stage }) => {
      const made = stage('made', numbers, { n: input.n });
      return { n: stage('small', small, { values: made.entries }, { retry: { attempts: 1 } }).n };
    });
    expect(await run(of, { n: 1 })).toMatchObject({ output: { n: 0 } });
    expect(await run(of, { n: 2 })).toMatchObject({ code: 'INVALID_INPUT' });
  });
});

describe('the definition of a stage that reads a stream', () => {
  const reader = adding();
  it.each([
    ['a list', { values: [1, 2] }],
    ['a list of the input', undefined],
  ])('refuses %s, with what to pass', (_, given) => {
    const define = () =>
      pipeline('wrong', { input: z.object({ list: z.array(z.number()) }) }, ({ input, stage }) => ({
        sum: stage('sum', reader, (given ?? { values: input.list }) as never).sum,
      }));
    expect(define).toThrow('"sum.input.values" is a list where a stream is needed; pass a stream');
  });
});

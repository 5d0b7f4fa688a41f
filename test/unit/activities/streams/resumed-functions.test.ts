import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { ExactCache } from '../../../../activities/cache/index.js';
import type { Backend } from '../../../../activities/connectors/connector.js';
import type { Pools } from '../../../../activities/pools/index.js';
import type { Attempt } from '../../../../activities/stage/serving.js';
import { code, codeStream, MillraceError, pipeline, streamOf } from '../../../../pipelines/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { StageCall } from '../../../../pipelines/run/index.js';
import type { StreamContext } from '../../../../pipelines/stages/kind.js';
import { MemoryChannelLog } from '../../../../stores/channels/index.js';
import { functionRunner, runFunctions } from '../../../support/run-functions.js';

const RETRY = { attempts: 3, backoff: { initial: '1ms' } } as const;
const number = z.object({ n: z.number() });
const gone = () => Object.assign(new Error('gone'), { code: 'BACKEND_UNAVAILABLE' });

const texts = codeStream('texts', { input: number, entry: z.string() }, async function* () {
  yield 'one two three';
  yield 'four five';
});
const TEXTS = z.object({ texts: streamOf(z.string()) });
type Body<T> = (texts: AsyncIterable<string>, context: StreamContext<T>) => AsyncGenerator<T>;

/** What a function makes of two texts: its items, and its entries as a reader has them. */
function made<T>(entry: z.ZodType<T>, body: Body<T>) {
  const splitting = codeStream('made', { input: TEXTS, entry }, ({ texts }, context) => body(texts, context));
  const reading = code(
    'reading',
    { input: z.object({ parts: streamOf(entry) }), output: z.object({ read: z.array(entry) }) },
    async ({ parts }) => {
      const read: T[] = [];
      for await (const part of parts) read.push(part);
      return { read };
    },
  );
  const of = pipeline('split', { input: number }, ({ input, stage }) => {
    const from = stage('texts', texts, { n: input.n });
    const parts = stage('made', splitting, { texts: from.entries }, { retry: RETRY });
    return { items: parts.items, read: stage('reading', reading, { parts: parts.entries }).read };
  });
  return runFunctions(of, { n: 1 });
}

describe('a function that splits what it reads', () => {
  it('begins anew where it does not ask for resumeFrom: no word is lost or read twice', async () => {
    let failed = false;
    const ended = await made(z.string(), async function* (texts) {
      for await (const text of texts) {
        for (const word of text.split(' ')) {
          if (word === 'two' && !failed) {
            failed = true;
            throw gone();
          }
          yield word;
        }
      }
    });
    const all = ['one', 'two', 'three', 'four', 'five'];
    expect(ended).toMatchObject({ output: { items: all, read: all } });
    expect(failed).toBe(true);
  });

  it('may ask where each entry covers all that it has read', async () => {
    const begun: unknown[] = [];
    const seen: string[] = [];
    let failed = false;
    const ended = await made(z.array(z.string()), async function* (texts, { resumeFrom }) {
      begun.push(resumeFrom);
      for await (const text of texts) {
        seen.push(text);
        if (text === 'four five' && !failed) {
          failed = true;
          throw gone();
        }
        yield text.split(' ');
      }
    });
    const all = [
      ['one', 'two', 'three'],
      ['four', 'five'],
    ];
    expect(ended).toMatchObject({ output: { items: all, read: all } });
    expect(begun).toEqual([undefined, { count: 1, last: ['one', 'two', 'three'] }]);
    // What an entry covers is not read again.
    expect(seen).toEqual(['one two three', 'four five', 'four five']);
  });

  it('does not ask by a copy of its context', async () => {
    let failed = false;
    const ended = await made(z.string(), async function* (texts, context) {
      const own: StreamContext<string> = { ...context };
      expect(own.tenant).toBe('default');
      for await (const text of texts) {
        for (const word of text.split(' ')) {
          if (word === 'three' && !failed) {
            failed = true;
            throw gone();
          }
          yield word;
        }
      }
    });
    const all = ['one', 'two', 'three', 'four', 'five'];
    expect(ended).toMatchObject({ output: { items: all, read: all } });
  });
});

/** A store that can be away. */
class LostLog extends MemoryChannelLog {
  away = false;
  /** Entries of the last append. */
  count = 0;

  override async append(...args: Parameters<MemoryChannelLog['append']>) {
    const standing = await super.append(...args);
    this.count = args[1].count + args[1].entries.length;
    return standing;
  }

  override async open(...args: Parameters<MemoryChannelLog['open']>) {
    if (this.away) throw new Error('connection refused');
    return await super.open(...args);
  }
}

const stage = (more: Partial<StageCall>): StageCall => ({
  pipeline: 'p',
  version: 'v',
  tenant: 't',
  stage: 'made',
  kind: 'code',
  model: 'made',
  with: {},
  retry: { attempts: 3, initialMs: 1, factor: 1, maxMs: 1 },
  writes: ['entries'],
  ...more,
});
const attempt = (more: Partial<Attempt> = {}): Attempt => ({
  signal: new AbortController().signal,
  attempt: 1,
  queueMs: 0,
  run: 'run-1',
  resumeFrom: null,
  checkpoint: () => undefined,
  ...more,
});
const functionOf = (body: () => AsyncGenerator<number>) =>
  pipeline('p', { input: z.object({}) }, ({ stage }) => ({
    items: stage('made', codeStream('made', { input: z.object({}), entry: z.number() }, body), {}).items,
  })).code;

describe('an attempt that finds the store away', () => {
  it.each([
    ['gives other entries than those that have been read is cut', 7, 'STREAM_CUT'],
    ['gives the same entries goes on behind them', 1, undefined],
  ])('and %s', async (_, first, expected) => {
    const channels = new LostLog();
    let attempts = 0;
    const made = functionOf(async function* () {
      attempts += 1;
      if (attempts === 1) {
        yield 1;
        channels.away = true;
        throw gone();
      }
      channels.away = false;
      yield first;
      yield 2;
    });
    const runner = functionRunner(made, channels);
    await expect(runner.run({}, stage({}), attempt())).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
    const again = runner.run({}, stage({}), attempt({ attempt: 2 }));
    if (expected) await expect(again).rejects.toMatchObject({ code: expected });
    else expect(await again).toMatchObject({ output: { items: [1, 2] } });
  });

  it.each([
    ['One sentence. And another.', undefined],
    ['Something else. It is another answer.', 'STREAM_CUT'],
  ])('and whose LLM says "%s" does the same', async (text, expected) => {
    const channels = new LostLog();
    let calls = 0;
    const invoke: Backend['invoke'] = async (_, { emit }) => {
      calls += 1;
      channels.away = calls === 1;
      if (calls > 1) return { output: { text } };
      emit('One sentence. And');
      await expect.poll(() => channels.count).toBe(1);
      throw new MillraceError('BACKEND_UNAVAILABLE', 'broke off');
    };
    const endpoint = { model: 'm', url: 'a', device: '' };
    const pools = {
      get: () => ({
        use: (work: (backend: Backend, at: object, signal: AbortSignal) => unknown, { signal }: Attempt) =>
          work({ invoke } as Backend, endpoint, signal),
      }),
    } as unknown as Pools;
    const runner = functionRunner(new Map(), channels, { pools });
    const chat = stage({ kind: 'chat', model: 'm', writes: ['sentences'] });
    const prompt = { prompt: 'Why?' };
    await expect(runner.run(prompt, chat, attempt())).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
    const again = runner.run(prompt, chat, attempt({ attempt: 2 }));
    if (expected) await expect(again).rejects.toMatchObject({ code: expected });
    else expect(await again).toMatchObject({ output: { text } });
  });
});

describe('an attempt that dies while a cached result is copied', () => {
  /** More than are committed at once. */
  const ITEMS = Array.from({ length: 600 }, (_, i) => i);
  const OTHERS = [...ITEMS.slice(0, 500), -1];
  /** A cache that has the result, until `lost`. */
  const exact = (outputs: () => JsonObject | undefined) => {
    const earlier = async () => {
      const output = outputs();
      return output && { output, outcome: 'hit' };
    };
    const through = async (_: unknown, produce: () => Promise<JsonObject>) =>
      (await earlier()) ?? { output: await produce(), outcome: 'miss' };
    return { earlier, through } as unknown as ExactCache;
  };
  const cached = stage({ cache: { kind: 'exact', ttlMs: 60_000 } });

  async function killed(after: () => JsonObject | undefined, yielded: readonly number[], call = cached) {
    const abort = new AbortController();
    const channels = new (class extends MemoryChannelLog {
      override async append(...args: Parameters<MemoryChannelLog['append']>) {
        const standing = await super.append(...args);
        const count = args[1].count + args[1].entries.length;
        if (count >= 2 && count < 500) abort.abort(new Error('killed'));
        return standing;
      }
    })();
    let dead = false;
    let calls = 0;
    const made = functionOf(async function* () {
      calls += 1;
      yield* yielded;
    });
    const runner = functionRunner(made, channels, { exact: exact(() => (dead ? after() : { items: ITEMS })) });
    await expect(runner.run({}, cached, attempt({ signal: abort.signal }))).rejects.toThrow('killed');
    dead = true;
    const again = await runner.run({}, call, attempt({ attempt: 2 })).catch((error: unknown) => error);
    return { again, calls };
  }

  it('is followed by one that goes on with it, and calls nothing', async () => {
    expect(await killed(() => ({ items: ITEMS }), [7])).toMatchObject({
      again: { output: { items: ITEMS }, cache: 'hit' },
      calls: 0,
    });
  });

  it('is followed by a call where the cache has it no more, or another one', async () => {
    const failed = () => {
      throw new MillraceError('INVALID_INPUT', 'another call has failed, and is cached');
    };
    for (const after of [() => undefined, () => ({ items: [0, 3] }), () => ({ items: [0] }), failed])
      expect(await killed(after, OTHERS)).toMatchObject({
        again: { output: { items: OTHERS }, cache: 'bypass' },
        calls: 1,
      });
  });

  it('is followed by no call where only a cached result is allowed', async () => {
    const only = stage({ cache: { kind: 'exact', ttlMs: 60_000, only: true } });
    expect(await killed(() => undefined, OTHERS, only)).toMatchObject({ again: { code: 'NOT_CACHED' }, calls: 0 });
    expect(await killed(() => ({ items: ITEMS }), [7], only)).toMatchObject({
      again: { output: { items: ITEMS }, cache: 'hit' },
      calls: 0,
    });
  });
});

import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  agent,
  approve,
  chat,
  code,
  embed,
  eq,
  http,
  type Pipeline,
  pipeline,
  semantic,
  synthesize,
  upsert,
} from '../../../../pipelines/index.js';
import {
  findingLine,
  SOURCE_WARNINGS,
  WARNINGS,
  type WarningCode,
  warningsOf,
} from '../../../../pipelines/inspect/index.js';

// biome-ignore lint/suspicious/noExplicitAny: definitions of every shape
type Anything = any;
const define = (body: (trace: Anything) => unknown) =>
  pipeline('p', { input: z.object({ q: z.string() }), deadline: '1h' }, body as Anything) as unknown as Pipeline;
const one = (use: Anything, input: unknown, options?: Anything) =>
  define(({ input: run, stage }) => ({ q: run.q, out: stage('a', use, input, options) }));

const ask = chat({ model: 'assistant' });
const nothing = z.object({});
const work = code('work', { input: nothing, output: nothing }, () => ({}));
const found = (pipeline: Pipeline) => warningsOf(pipeline).map(({ stage, code }) => `${stage} ${code}`);
const PROMPT = { prompt: 'x' };

const CASES: readonly (readonly [string, string, WarningCode, () => Pipeline])[] = [
  [
    'a stage that nobody reads',
    'a',
    'UNUSED_STAGE',
    () =>
      define(({ input, stage }) => {
        stage('a', ask, { prompt: input.q });
        return {};
      }),
  ],
  [
    'a stage in a branch that does not return it',
    'a',
    'UNUSED_STAGE',
    () =>
      define(({ input, stage, when }) => ({
        x: when('w', eq(input.q, ''), () => {
          stage('a', embed({ model: 'minilm' }), { text: input.q });
          return 1;
        }),
      })),
  ],
  [
    'an approval whose decision nobody reads',
    'a',
    'UNUSED_STAGE',
    () =>
      define(({ input, stage }) => {
        stage('a', approve({ timeout: '1m' }), { subject: input.q });
        return {};
      }),
  ],
  ['an input that nobody reads', 'input', 'UNUSED_INPUT', () => define(() => ({}))],
  [
    'a cache with one answer for all',
    'a',
    'CONSTANT_CACHE_KEY',
    () => one(ask, PROMPT, { cache: semantic({ key: 'x' as Anything }) }),
  ],
  [
    'a branch that is always taken',
    'w',
    'CONSTANT_CONDITION',
    () => define(({ input, when }) => ({ x: when('w', true, () => input.q) })),
  ],
  [
    'a total that is out of reach',
    'a',
    'TOTAL_NOT_REACHED',
    () => one(ask, PROMPT, { retry: { attempts: 2 }, timeout: { attempt: '5s', total: '1m' } }),
  ],
  [
    'a total without room for a second attempt',
    'a',
    'TOTAL_CUTS_RETRIES',
    () => one(ask, PROMPT, { timeout: { attempt: '10s', total: '15s' } }),
  ],
  [
    'a long inline attempt',
    'a',
    'LONG_INLINE_ATTEMPT',
    () => one(ask, PROMPT, { execution: 'inline', timeout: { attempt: '2m' }, retry: { attempts: 1 } }),
  ],
  [
    'a voice that reads the answer of an agent',
    'a',
    'LATE_ANSWER',
    () =>
      define(({ input, stage }) => {
        const answer = stage('answer', agent({ model: 'assistant' }), { prompt: input.q });
        return { a: stage('a', synthesize({ model: 'tts' }), { text: answer.sentences }).audio };
      }),
  ],
  [
    'a write that is hedged',
    'a',
    'REPEATED_WRITE',
    () => one(http({ service: 's', method: 'POST', path: '/x', output: z.json() }), {}, { hedge: { after: '1s' } }),
  ],
  [
    'a write behind a cache',
    'a',
    'CACHED_WRITE',
    () =>
      define(({ input, stage }) => ({
        out: stage('a', upsert({ index: 'i' }), { passages: [] }, { cache: semantic({ key: input.q }) }),
      })),
  ],
  ['a fallback that is the stage', 'a', 'SAME_FALLBACK', () => one(ask, PROMPT, { fallback: [ask] })],
];

describe('a warning', () => {
  it.each(CASES)('about %s', (_, stage, code, make) => {
    expect(found(make())).toEqual([`${stage} ${code}`]);
  });

  it('is tested for every code of plans', () => {
    const codes = Object.keys(WARNINGS).filter((code) => !Object.hasOwn(SOURCE_WARNINGS, code));
    expect(new Set(CASES.map(([, , code]) => code))).toEqual(new Set(codes));
  });

  it.each<[string, () => Pipeline]>([
    [
      'work that nobody reads',
      () =>
        define(({ input, stage, when }) => {
          stage('a', work, {});
          when('w', eq(input.q, ''), () => stage('b', work, {}));
          return {};
        }),
    ],
    ['defaults', () => one(ask, PROMPT)],
    [
      'an inline function',
      () => one(work, {}, { execution: 'inline', timeout: { attempt: '5m' }, retry: { attempts: 1 } }),
    ],
    ['one long attempt', () => one(ask, PROMPT, { retry: { attempts: 1 }, timeout: { attempt: '5m', total: '5m' } })],
  ])('is not given about %s', (_, make) => {
    expect(found(make())).toEqual([]);
  });

  it('counts an input that only a branch returns as read', () => {
    const branch = pipeline('p', { input: z.object({ q: z.string(), r: z.string() }) }, ({ input, when }) => ({
      x: when('w', eq(input.q, ''), () => input.r),
    }));
    expect(found(branch as unknown as Pipeline)).toEqual([]);
  });

  it('says that a total which calls do not reach is reached by waits', () => {
    const options = { retry: { attempts: 2 }, timeout: { attempt: '5s', total: '10m' } };
    expect(warningsOf(one(ask, PROMPT, options)).map(({ message }) => message)).toEqual([
      expect.stringMatching(/2 × 5s .*: the total of 10m is reached only by waits/),
    ]);
  });

  it('is one line', () => {
    const [finding] = warningsOf(define(() => ({})));
    expect(finding && findingLine(finding)).toBe(
      'p input UNUSED_INPUT nothing reads "q" — read it, or remove it from the input’s schema',
    );
  });
});

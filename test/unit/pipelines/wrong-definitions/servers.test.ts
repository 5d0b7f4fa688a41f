import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  chat,
  image,
  type Pipeline,
  pipeline,
  type Ref,
  retrieve,
  semantic,
  synthesize,
} from '../../../../pipelines/index.js';
import { type PoolDescription, place } from '../../../../placement/place.js';
import { type Anything, ask, define, one, PROMPT, refusal, TEXT } from './refusal.js';

/** What the pools of the tests can do. */
const POOLS: Readonly<Record<string, PoolDescription>> = {
  whisper: { connector: 'triton', kind: 'transcribe', devices: ['cpu0'], capabilities: new Set(['stream']) },
  minilm: { connector: 'triton', kind: 'embed', devices: ['cpu0'], capabilities: new Set(['stream']) },
  assistant: { connector: 'plain', kind: 'chat', devices: ['cpu0'], capabilities: new Set() },
  hears: { connector: 'plain', kind: 'chat', devices: ['cpu0'], capabilities: new Set(), modalities: ['audio'] },
};
const known = (
  use: Anything,
  input: unknown,
  options?: Anything,
): readonly ['MODEL_NOT_CONFIGURED' | 'CAPABILITY_MISSING', Pipeline] => [
  'MODEL_NOT_CONFIGURED',
  one(use, input, options),
];
const lacking = (
  use: Anything,
  options?: Anything,
): readonly ['MODEL_NOT_CONFIGURED' | 'CAPABILITY_MISSING', Pipeline] => [
  'CAPABILITY_MISSING',
  one(use, PROMPT, options),
];

type Misplaced = readonly [
  string,
  string,
  RegExp,
  () => readonly ['MODEL_NOT_CONFIGURED' | 'CAPABILITY_MISSING', Pipeline],
];
const MISPLACED: readonly Misplaced[] = [
  ['a model without a pool', 'a.model', /no pool serves the model "gpt"/, () => known(chat({ model: 'gpt' }), PROMPT)],
  [
    'a pool of another kind',
    'a.model',
    /serves transcribe stages, not chat/,
    () => known(chat({ model: 'whisper' }), PROMPT),
  ],
  [
    'a fallback without a pool',
    'a.fallback',
    /"gpt"/,
    () => known(ask, PROMPT, { fallback: [chat({ model: 'gpt' })] }),
  ],
  [
    'a rung without a pool',
    'a.fallback',
    /"gpt"/,
    () => known(ask, PROMPT, { degrade: [{ below: '9s', to: chat({ model: 'gpt' }) }] }),
  ],
  [
    'a cache’s embedder without a pool',
    'a.cache.embedder',
    /"bge"/,
    () => known(ask, PROMPT, { cache: semantic({ key: 'x' as unknown as Ref<string>, embedder: 'bge' }) }),
  ],
  [
    'a cache’s verifier whose pool scores no pairs',
    'a.cache.verifier.entailment',
    /serves embed stages, not classify or rerank/,
    () =>
      known(ask, PROMPT, {
        cache: semantic({
          key: 'x' as unknown as Ref<string>,
          maxErrorRate: 0.05,
          verifier: { entailment: 'minilm' },
        }),
      }),
  ],
  [
    'an index’s embedder without a pool',
    'a.embedder',
    /"bge"/,
    () => known(retrieve({ index: 'i', embedder: 'bge' }), { query: 'x' }),
  ],
  ['speech without a pool', 'a.model', /"tts"/, () => known(synthesize({ model: 'tts' }), TEXT)],
  [
    'a child’s model without a pool',
    'a.model',
    /"gpt"/,
    () => {
      const child = pipeline('child', { input: z.object({}) }, ({ stage }) => ({
        x: stage('a', chat({ model: 'gpt' }), PROMPT).text,
      }));
      return ['MODEL_NOT_CONFIGURED', define(({ run }) => ({ x: run('s', child, {}, { as: 'child' }) }))];
    },
  ],
  [
    'structured output that the server does not have',
    'a.model',
    /structured-output/,
    () => lacking(chat({ model: 'assistant', output: z.object({}) })),
  ],
  [
    'tools that the server does not have',
    'a.model',
    /tools/,
    () => lacking(chat({ model: 'assistant', tools: [{ name: 't', description: '', input: z.object({}) }] })),
  ],
  [
    'a first chunk of a server that does not stream',
    'a.model',
    /stream/,
    () => lacking(ask, { timeout: { firstChunk: '5s' } }),
  ],
  ...(['images', 'parts', 'history'] as const).map(
    (field): Misplaced => [
      `media that the model does not take, in its ${field}`,
      'a.model',
      /(images|parts\.0\.image|history\.0\.parts\.0\.image): the pool "hears" takes no image \(its modalities: audio\)/,
      () => ['CAPABILITY_MISSING', seeing(field)],
    ],
  ),
];

const seeing = (field: 'images' | 'parts' | 'history') =>
  pipeline('p', { input: z.object({ photo: image() }) }, ({ input, stage }) => {
    const parts = [{ type: 'image' as const, image: input.photo }];
    const shown = { images: [input.photo], parts, history: [{ role: 'user' as const, content: '', parts }] };
    return { x: stage('a', chat({ model: 'hears' }), { ...PROMPT, [field]: shown[field] }).text };
  }) as unknown as Pipeline;

describe('a definition that the servers cannot carry out', () => {
  it.each(MISPLACED)('%s', (_, field, text, make) => {
    const [expected, { plan }] = make();
    const { code, message, details } = refusal(() => place(plan, (model) => POOLS[model], 'queue'));
    expect(code).toBe(expected);
    expect(details.fields?.[0]?.field).toBe(field);
    expect(message).toMatch(text);
  });
});

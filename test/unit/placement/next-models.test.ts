import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { chat, embed, exact, pipeline, synthesize } from '../../../pipelines/index.js';
import { nextModels } from '../../../placement/next-models.js';
import { type PoolDescription, place } from '../../../placement/place.js';

const spoken = pipeline('spoken', { input: z.object({ question: z.string() }) }, ({ input, stage }) => {
  const draft = stage('draft', chat({ model: 'small' }), { prompt: input.question });
  const answer = stage('answer', chat({ model: 'large' }), { prompt: draft.text });
  const vector = stage('vector', embed({ model: 'minilm' }), { text: draft.text }, { cache: exact({ ttl: '1d' }) });
  const speech = stage('speak', synthesize({ model: 'tts' }), { text: answer.text });
  return { speech: speech.audio, vector: vector.embedding };
});

const next = (...models: string[]) => Object.fromEntries(nextModels(spoken.plan, (model) => models.includes(model)));

describe('the models that are needed after a stage', () => {
  it('are those of the stages that read it, where workers load them on demand', () => {
    expect(next('large', 'tts')).toEqual({ draft: ['large'], answer: ['tts'] });
    expect(next('small')).toEqual({});
  });

  it('are none behind a cache, which may answer without the model', () => {
    expect(next('minilm')).toEqual({});
  });

  it('are part of the placement, of pools with such models only', () => {
    const kinds: Record<string, string> = { small: 'chat', large: 'chat', minilm: 'embed', tts: 'synthesize' };
    const poolOf =
      (onDemand: readonly string[]) =>
      (model: string): PoolDescription => ({
        ...{ connector: 'triton', kind: kinds[model] ?? '', devices: ['gpu0'], capabilities: new Set<string>() },
        ...(onDemand.includes(model) && { onDemand: true }),
      });
    const placed = place(spoken.plan, poolOf(['large']), 'millrace');
    expect(placed.draft).toMatchObject({ next: ['large'] });
    expect(Object.values(place(spoken.plan, poolOf([]), 'millrace')).some((row) => 'next' in row)).toBe(false);
  });
});

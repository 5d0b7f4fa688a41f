import { describe, expect, it } from 'vitest';
import { parseModels } from '../../../../activities/pools/index.js';
import { profileTarget, SampleAudio, targetsOf } from '../../../../measure/profiling/index.js';
import { writeWav } from '../../../../media/index.js';
import { voiceAssistant } from '../../../../pipelines/catalog/index.js';
import { batchingBackend } from './batching-backend.js';

const wav = Buffer.concat([
  ...writeWav(
    Int16Array.from({ length: 160 }, (_, i) => i),
    { sampleRate: 16_000 },
  ),
]);
const audio = await SampleAudio.of(wav, 'short.wav');
const models = parseModels(
  {
    minilm: {
      ...{ connector: 'triton', model: 'minilm', kind: 'embed', endpoints: [{ url: 'a:8001', device: 'cpu0' }] },
      variants: { int8: { model: 'minilm-int8', quality: 0.8 }, fp32: { model: 'minilm-fp32' } },
    },
  },
  'models.json',
);

describe('the profile of a variant', () => {
  it.each([
    ['int8', undefined, 'minilm-int8', 0.8],
    ['int8', 0.7, 'minilm-int8', 0.7],
    ['fp32', undefined, 'minilm-fp32', 1],
    ['default', undefined, 'minilm', 1],
  ])('%s with the quality %s is of its own model, weights and quality', async (variant, given, served, quality) => {
    const asked: string[] = [];
    const backend = {
      ...batchingBackend(),
      fingerprint: async (model: string) => {
        asked.push(model);
        return `weights of ${model}`;
      },
    };
    const [target] = targetsOf(voiceAssistant.plan, models, { deviceKind: 'cpu' }, ['answer.embed'], variant);
    if (target === undefined) return expect.fail('nothing is measured');
    const { profile } = await profileTarget(target, backend, {
      ...{ samples: 1, timeLimitMs: 0, batches: [1], variant, quality: given, memory: {}, audio, machine: 'here' },
      ...{ now: new Date(), signal: new AbortController().signal },
    });
    expect(profile).toMatchObject({
      model: 'minilm',
      variant,
      quality,
      fingerprint: { model: `weights of ${served}` },
    });
    expect(new Set([...asked, ...backend.calls.map(({ model }) => model)])).toEqual(new Set([served]));
  });
});

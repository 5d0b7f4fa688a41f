import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { chat, pipeline, transcribe } from '../../../pipelines/index.js';
import { audio } from '../../../pipelines/media.js';
import { readPlacement, sealPlacement } from '../../../placement/document/index.js';
import { place } from '../../../placement/place.js';
import { queuesOf } from '../../../placement/queues.js';
import { examples } from './reference-examples.js';

const example = readPlacement(examples('json')[3] ?? '');
const [pool] = example.pools;
if (!pool) throw new Error('the example has a pool');
const replica = (device: string) => ({ devices: [device], queue: `device.${device.replace('/', '.')}` });

/** A placement of the pool `whisper` on these devices. */
const on = (...devices: string[]) =>
  sealPlacement({
    ...example,
    pools: [{ ...pool, model: 'whisper', replicas: devices.map(replica) }],
    stages: { 'voice/hear': 'whisper' },
    predicted: {
      ...example.predicted,
      stages: { 'voice/hear': { waitMs: 40, waitP99Ms: 900, serviceMs: 200, batch: 2 } },
    },
  });

const voice = pipeline('voice', { input: z.object({ speech: audio() }) }, ({ input, stage }) => {
  const transcribed = stage('hear', transcribe({ model: 'whisper' }), { audio: input.speech });
  return { reply: stage('answer', chat({ model: 'assistant' }), { prompt: transcribed.text }).text };
});
const KINDS: Record<string, string> = { whisper: 'transcribe', assistant: 'chat' };
const poolOf = (model: string) => ({
  connector: 'any',
  kind: KINDS[model] ?? '',
  devices: ['old'],
  capabilities: new Set<string>(),
});

describe('the queues of an applied placement', () => {
  it('are a pool’s where it has several replicas, then the deployment’s own', () => {
    const placement = place(voice.plan, poolOf, 'millrace', queuesOf(on('gpu1/0', 'gpu2/0'), 'millrace'));
    expect(placement).toEqual({
      hear: {
        connector: 'any',
        device: 'gpu1/0,gpu2/0',
        queue: 'millrace.pool.whisper',
        elsewhere: [{ queue: 'millrace', device: 'any' }],
        patienceMs: 3_600,
      },
      answer: { connector: 'any', device: 'old', queue: 'millrace' },
    });
  });

  it('are its device’s where it has one', () => {
    expect(queuesOf(on('gpu1/0'), 'blue')('whisper')).toMatchObject({ queue: 'blue.device.gpu1.0', device: 'gpu1/0' });
  });

  it('are waited on for 2 s at least', () => {
    const { stages } = example;
    const patience = Object.values(stages).map((model) => queuesOf(example, 'millrace')(model)?.patienceMs ?? 0);
    expect(Math.min(...patience)).toBeGreaterThanOrEqual(2_000);
  });
});

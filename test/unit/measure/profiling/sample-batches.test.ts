import { describe, expect, it } from 'vitest';
import type { Backend } from '../../../../activities/connectors/index.js';
import { exampleOf } from '../../../../measure/profiling/examples.js';
import { SampleAudio } from '../../../../measure/profiling/sample-audio.js';
import { sampleBatches } from '../../../../measure/profiling/sample-batches.js';
import { writeWav } from '../../../../media/index.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import { batchingBackend } from './batching-backend.js';

const audio = await SampleAudio.of(
  Buffer.concat([
    ...writeWav(
      Int16Array.from({ length: 16_000 }, (_, i) => i),
      { sampleRate: 16_000 },
    ),
  ]),
  'second.wav',
);
const subject = (backend: Backend, more: { samples?: number; batches?: readonly number[] } = {}) => ({
  ...{ backend, model: 'm', audio, samples: 5, timeLimitMs: 60_000, batches: [1, 2, 4, 8, 16] },
  signal: new AbortController().signal,
  ...more,
});
const embed = exampleOf('embed', {}, audio);
if (!embed) throw new Error('no example of embed');

describe('what a batching server takes', () => {
  it('is what its statistics say of each size of batch', async () => {
    const computeMs = (batch: number, { input }: { input: { text?: unknown } }) =>
      4 + batch + (String(input.text).length > 100 ? 5 : 0);
    const samples = await sampleBatches(subject(batchingBackend({ computeMs })), 'embed', embed);
    expect(samples.size).toEqual({ variable: 'characters', typical: 40 });
    const medians = samples.cells.map(({ batch, size, ms }) => [batch, size, Math.round(ms[2] ?? 0)]);
    const wanted = [1, 2, 4, 8].flatMap((batch) => [
      [batch, 40, 4 + batch],
      [batch, 400, 9 + batch],
    ]);
    expect(medians).toEqual(expect.arrayContaining(wanted));
    expect(samples.preferred).toEqual([4]);
    expect(samples.overheadMs.every((ms) => ms >= 0)).toBe(true);
  });

  it('is without what a server takes to compile each shape', async () => {
    const compiled = new Set<string>();
    const computeMs = (batch: number, { input }: { input: { text?: unknown } }) => {
      const shape = `${batch}/${String(input.text).length > 100}`;
      if (compiled.has(shape)) return 4 + batch;
      compiled.add(shape);
      return 80;
    };
    const { cells, calls } = await sampleBatches(subject(batchingBackend({ computeMs })), 'embed', embed);
    const slowest = cells.map(({ batch, size, ms }) => [batch, size, Math.max(...ms)]);
    expect(slowest).toEqual(
      expect.arrayContaining([1, 2, 4, 8].flatMap((batch) => [40, 400].map((size) => [batch, size, 4 + batch]))),
    );
    // Five bursts of each shape, and a call ahead of each batch; those before are not counted.
    expect(calls).toBe(5 * 2 * (1 + 3 + 5 + 9));
  });

  it('takes as many samples as asked, and five when the time is up', async () => {
    const of = (ms: readonly { readonly batch: number; readonly ms: readonly number[] }[]) =>
      ms.find(({ batch }) => batch === 1)?.ms.length;
    const many = await sampleBatches(subject(batchingBackend(), { samples: 7, batches: [1] }), 'embed', embed);
    expect(of(many.cells)).toBe(7);
    const late = { ...subject(batchingBackend(), { samples: 1_000, batches: [1] }), timeLimitMs: 0 };
    expect(of((await sampleBatches(late, 'embed', embed)).cells)).toBe(5);
  });

  it('is warmed up by one burst of each shape when that takes longer than the limit', async () => {
    const backend = batchingBackend({ computeMs: () => 5 });
    await sampleBatches({ ...subject(backend, { batches: [1] }), timeLimitMs: 1 }, 'embed', embed);
    expect(backend.calls).toHaveLength(2 * (1 + 5));
  });

  it('leaves out what others called meanwhile, and says so when they never stop', async () => {
    const once = batchingBackend({ others: new Set([12]), computeMs: () => 5 });
    const samples = await sampleBatches(subject(once, { batches: [1] }), 'embed', embed);
    expect(samples.cells.map(({ ms }) => ms.length)).toEqual([5, 5]);
    const always = batchingBackend({ others: new Set(Array.from({ length: 1_000 }, (_, i) => i)) });
    const refused = sampleBatches(subject(always, { batches: [1] }), 'embed', embed);
    await expect(refused).rejects.toMatchObject({
      code: 'PROFILE_UNMEASURED',
      message: expect.stringContaining('other clients called'),
    });
  }, 60_000);

  it('is the time of a burst where there are no statistics', async () => {
    const samples = await sampleBatches(
      subject(batchingBackend({ silent: true }), { batches: [1, 4] }),
      'embed',
      embed,
    );
    expect(samples.cells.map(({ batch }) => batch)).toEqual([1, 4, 1, 4]);
    expect(samples.cells.every(({ ms }) => ms.every((each) => each > 0))).toBe(true);
    expect(samples.overheadMs).toEqual([]);
  });

  it('is asked for with inputs no two of which are the same', async () => {
    for (const kind of ['transcribe', 'embed', 'synthesize', 'classify', 'rerank', 'infer'] as const) {
      const tensors = { inputs: { X: { dtype: 'FP32', shape: [-1, 2] } }, outputs: {} };
      const example = exampleOf(kind, kind === 'infer' ? tensors : {}, audio);
      const backend = batchingBackend({ most: 1 });
      await sampleBatches(subject(backend, { batches: [1] }), kind, example ?? embed);
      const counted = backend.calls.map(({ input }) => JSON.stringify(input));
      expect(new Set(counted).size, kind).toBe(counted.length);
    }
    expect(exampleOf('http', {}, audio)).toBeUndefined();
  });

  it('ends when it is interrupted', async () => {
    const reason = new MillraceError('REQUEST_ABORTED', 'interrupted');
    const signal = AbortSignal.abort(reason);
    await expect(sampleBatches({ ...subject(batchingBackend()), signal }, 'embed', embed)).rejects.toBe(reason);
  });
});

it('sample audio has the length asked for, at any rate, and another beginning each time', async () => {
  const read = async (serial: number, sampleRate: number) => {
    const all: number[] = [];
    for await (const chunk of audio.read(audio.artifact(2.5, serial), { sampleRate })) all.push(...chunk);
    return all;
  };
  expect(await read(0, 16_000)).toHaveLength(40_000);
  expect(await read(0, 8_000)).toHaveLength(20_000);
  expect((await read(1, 16_000))[0]).not.toBe((await read(2, 16_000))[0]);
  await expect(SampleAudio.of(Buffer.from('RIFF'), 'x.wav')).rejects.toMatchObject({ code: 'INVALID_MEDIA' });
});

import { describe, expect, it } from 'vitest';
import { plainRequests, type TensorClient, TensorModels } from '../../../../activities/connectors/tensors/index.js';
import type { Artifact } from '../../../../pipelines/artifact.js';
import type { Json, JsonObject } from '../../../../pipelines/json.js';
import {
  fp32Tensor,
  readFp32,
  readText,
  readTexts,
  type Tensor,
  textTensor,
} from '../../../../protocols/open-inference/tensors.js';

const artifact: Artifact = { uri: 'artifact://t/0', sha256: '0', mime: 'audio/wav', bytes: 1 };

/** Runs a stage kind against a model that is a function; samples written are kept. */
async function run(
  kind: string,
  input: JsonObject,
  model: (inputs: readonly Tensor[]) => Tensor[],
  {
    samples = new Float32Array(0),
    resumeFrom,
    options = {},
  }: { samples?: Float32Array; resumeFrom?: Json; options?: JsonObject } = {},
) {
  const emitted: (string | number)[] = [];
  const checkpoints: Json[] = [];
  const written: { samples: Int16Array; sampleRate: number }[] = [];
  let calls = 0;
  const client: TensorClient = {
    async *responses(_, inputs) {
      calls += 1;
      yield new Map(model(inputs).map((tensor) => [tensor.name, tensor]));
    },
    tensors: () => Promise.reject(new Error('the maps of Millrace’s own models need no metadata')),
  };
  const reply = await new TensorModels(client, undefined).invoke(
    { kind, model: 'm', with: options, input },
    {
      signal: new AbortController().signal,
      emit: (chunk) => void emitted.push(chunk),
      checkpoint: (progress) => void checkpoints.push(progress),
      ...(resumeFrom !== undefined && { resumeFrom }),
      audio: {
        async *read() {
          yield samples;
        },
        async write(spoken, { sampleRate }) {
          written.push({ samples: spoken, sampleRate });
          return artifact;
        },
      },
    },
    plainRequests(),
  );
  return { ...reply, checkpoints, emitted, written, calls };
}

const input = (inputs: readonly Tensor[]): Tensor => inputs[0] as Tensor;

describe('transcribe', () => {
  /** Hears the number of whole seconds in each window. */
  const recognise = (inputs: readonly Tensor[]) => [
    textTensor('TEXT', [1, 1], ` ${Math.round(readFp32(input(inputs)).length / 16_000)} s `),
  ];

  it('makes one call of short audio', async () => {
    const { output, usage, calls } = await run('transcribe', { audio: { ...artifact } }, recognise, {
      samples: new Float32Array(64_000),
    });
    expect({ output, usage, calls }).toEqual({ output: { text: '4 s' }, usage: { audioSeconds: 4 }, calls: 1 });
  });

  it('makes no call of no audio', async () => {
    expect(await run('transcribe', { audio: { ...artifact } }, recognise)).toMatchObject({
      output: { text: '' },
      calls: 0,
    });
  });

  it('leaves out windows without speech', async () => {
    const { output } = await run('transcribe', {}, () => [textTensor('TEXT', [1, 1], ' ')], {
      samples: new Float32Array(16_000 * 70),
    });
    expect(output).toEqual({ text: '' });
  });

  it('checkpoints every window and resumes behind the last one', async () => {
    const samples = new Float32Array(16_000 * 80);
    const whole = await run('transcribe', {}, recognise, { samples });
    expect(whole.checkpoints).toHaveLength(3);
    const [first] = whole.checkpoints;
    const resumed = await run('transcribe', {}, recognise, {
      samples,
      ...(first !== undefined && { resumeFrom: first }),
    });
    expect(resumed).toMatchObject({ output: whole.output, calls: 2, checkpoints: whole.checkpoints.slice(1) });
    expect(resumed.usage?.audioSeconds).toBeLessThan(55.1);
    const last = whole.checkpoints.at(-1) as Json;
    expect(await run('transcribe', {}, recognise, { samples, resumeFrom: last })).toMatchObject({
      output: whole.output,
      calls: 0,
    });
  });

  it('emits the text of every window, as it is joined, and no earlier attempt’s', async () => {
    const samples = new Float32Array(16_000 * 80);
    const whole = await run('transcribe', {}, recognise, { samples });
    expect(whole.emitted).toHaveLength(3);
    expect(whole.emitted.join('')).toBe(whole.output.text);
    const [first] = whole.checkpoints;
    const resumed = await run('transcribe', {}, recognise, {
      samples,
      ...(first !== undefined && { resumeFrom: first }),
    });
    expect(resumed.emitted).toEqual(whole.emitted.slice(1));
  });

  it.each<[Json]>([[null], ['text'], [{ sample: 1.5, text: 'x' }], [{ sample: 5 }]])(
    'starts over from progress that is not its own: %j',
    async (resumeFrom) => {
      const { calls } = await run('transcribe', {}, recognise, { samples: new Float32Array(16_000), resumeFrom });
      expect(calls).toBe(1);
    },
  );

  it('says which output is missing', async () => {
    const samples = new Float32Array(16_000);
    await expect(run('transcribe', {}, () => [textTensor('TXT', [1, 1], '')], { samples })).rejects.toMatchObject({
      code: 'INVALID_OUTPUT',
      message: expect.stringContaining('no output TEXT (its outputs: TXT)'),
    });
  });
});

describe('embed', () => {
  it('gives a vector of length 1', async () => {
    const { output } = await run('embed', { text: 'x' }, () => [
      fp32Tensor('EMBEDDING', [1, 2], Float32Array.of(3, 4)),
    ]);
    expect(output).toEqual({ embedding: [0.6, 0.8] });
  });

  it('takes no tokens', async () => {
    await expect(run('embed', { tokens: [[1]] }, () => [])).rejects.toMatchObject({
      code: 'CAPABILITY_MISSING',
      message: expect.stringContaining('the connector openai'),
    });
  });

  it.each([[[0, 0]], [[]]])('refuses %j, which has no direction', async (values) => {
    const vector = fp32Tensor('EMBEDDING', [1, values.length], Float32Array.from(values));
    await expect(run('embed', { text: 'x' }, () => [vector])).rejects.toMatchObject({ code: 'INVALID_OUTPUT' });
  });
});

describe('synthesize', () => {
  const voice = (rate: number, samples: number) => () => [
    { name: 'AUDIO', datatype: 'INT16', shape: [1, samples], raw: Buffer.alloc(samples * 2, 1) },
    { name: 'SAMPLE_RATE', datatype: 'INT32', shape: [1, 1], raw: Buffer.from(Int32Array.of(rate).buffer) },
  ];

  it('writes all passages as one artifact', async () => {
    const text = `${'word '.repeat(60)}end. ${'word '.repeat(60)}end.`;
    const spoken: string[] = [];
    const { output, usage, emitted, written, calls } = await run('synthesize', { text }, (inputs) => {
      spoken.push(readText(input(inputs)));
      return voice(24_000, 12_000)();
    });
    expect({ output, usage, calls }).toEqual({ output: { audio: artifact }, usage: { audioSeconds: 1 }, calls: 2 });
    expect(written).toEqual([{ samples: new Int16Array(24_000).fill(257), sampleRate: 24_000 }]);
    expect(spoken.join(' ')).toBe(text);
    expect(emitted).toEqual([12_000, 12_000]);
  });

  it('speaks a list of sentences as one text', async () => {
    const spoken: string[] = [];
    await run('synthesize', { text: ['One.', 'Two.'] }, (inputs) => {
      spoken.push(readText(input(inputs)));
      return voice(24_000, 1)();
    });
    expect(spoken).toEqual(['One. Two.']);
  });

  it('has nothing to say to an empty text', async () => {
    await expect(run('synthesize', { text: ' \n' }, voice(24_000, 1))).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      details: { fields: [{ field: 'text' }] },
    });
  });

  it.each([
    ['no rate', voice(0, 10)],
    ['a rate beyond any', voice(192_001, 10)],
    ['no samples', voice(24_000, 0)],
  ])('refuses an answer with %s', async (_, model) => {
    await expect(run('synthesize', { text: 'hi' }, model)).rejects.toMatchObject({ code: 'INVALID_OUTPUT' });
  });

  it('refuses a voice that changes its rate in mid-text', async () => {
    const rates = [16_000, 24_000];
    const model = () => voice(rates.shift() ?? 0, 10)();
    await expect(run('synthesize', { text: 'x '.repeat(400) }, model)).rejects.toMatchObject({
      code: 'INVALID_OUTPUT',
    });
  });
});

describe('classify', () => {
  const scores = (...values: number[]) => [fp32Tensor('SCORES', [1, values.length], Float32Array.from(values))];
  const options = { labels: ['calm', 'angry', 'sad'] };

  it('names the label of the highest score, and every label’s score', async () => {
    const { output } = await run('classify', { text: 'x' }, () => scores(0.25, 0.5, 0.125), { options });
    expect(output).toEqual({ label: 'angry', score: 0.5, scores: { calm: 0.25, angry: 0.5, sad: 0.125 } });
  });

  it('takes the first of equal scores', async () => {
    const { output } = await run('classify', { text: 'x' }, () => scores(0.5, 0.5, 0), { options });
    expect(output.label).toBe('calm');
  });

  it.each([[[0.5, 0.5]], [[0.25, 0.25, 0.25, 0.25]], [[]]])(
    'refuses the scores %j for three labels',
    async (values) => {
      await expect(run('classify', { text: 'x' }, () => scores(...values), { options })).rejects.toMatchObject({
        code: 'INVALID_OUTPUT',
        message: `output tensor SCORES: ${values.length} scores for 3 labels (calm, angry, sad)`,
      });
    },
  );
});

describe('rerank', () => {
  const passages = ['b', 'ccc', 'aa', 'dd'].map((text, i) => ({ id: `p${i}`, text, metadata: { page: i } }));
  /** Long passages first. */
  const byLength = (inputs: readonly Tensor[]) => {
    const lengths = readTexts(inputs[1] as Tensor).map((text) => text.length);
    return [fp32Tensor('SCORES', [1, lengths.length], Float32Array.from(lengths))];
  };
  const ids = (output: JsonObject) => (output.passages as { id: string }[]).map(({ id }) => id);

  it('orders by score, of equals as they came, and keeps what else a passage has', async () => {
    const { output, calls } = await run('rerank', { query: 'q', passages }, byLength);
    expect(ids(output)).toEqual(['p1', 'p2', 'p3', 'p0']);
    expect((output.passages as Json[])[0]).toEqual({ id: 'p1', text: 'ccc', metadata: { page: 1 }, score: 3 });
    expect(calls).toBe(1);
  });

  it('puts its own score in the place of an earlier one', async () => {
    const { output } = await run('rerank', { query: 'q', passages: [{ id: 'a', text: 'x', score: 0.9 }] }, byLength);
    expect(output).toEqual({ passages: [{ id: 'a', text: 'x', score: 1 }] });
  });

  it('keeps the best `top`', async () => {
    const { output } = await run('rerank', { query: 'q', passages }, byLength, { options: { top: 2 } });
    expect(ids(output)).toEqual(['p1', 'p2']);
  });

  it('makes no call without passages', async () => {
    expect(await run('rerank', { query: 'q', passages: [] }, byLength)).toMatchObject({
      output: { passages: [] },
      calls: 0,
    });
  });

  it('refuses scores that are not one a passage', async () => {
    const two = () => [fp32Tensor('SCORES', [1, 2], Float32Array.of(1, 2))];
    await expect(run('rerank', { query: 'q', passages }, two)).rejects.toMatchObject({
      code: 'INVALID_OUTPUT',
      message: 'output tensor SCORES: 2 scores for 4 passages',
    });
  });
});

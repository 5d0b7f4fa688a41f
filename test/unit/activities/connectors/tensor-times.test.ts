import { describe, expect, it } from 'vitest';
import { plainRequests, type TensorClient, TensorModels } from '../../../../activities/connectors/tensors/index.js';
import { tensorMap } from '../../../../activities/connectors/tensors/map-schema.js';
import { segmentsOf } from '../../../../activities/connectors/timed-segments.js';
import type { Json, JsonObject } from '../../../../pipelines/json.js';
import type { Dtype } from '../../../../pipelines/media.js';
import { toWire } from '../../../../protocols/open-inference/any-tensor.js';
import type { Element } from '../../../../protocols/open-inference/elements.js';
import { readFp32, type Tensor } from '../../../../protocols/open-inference/tensors.js';

/* Times of what is said and of who says it, through tensor maps. */

const wire = (name: string, dtype: Dtype, shape: number[], data: Element[]) => toWire(name, { dtype, shape, data });

const SPEECH = { from: 'audio', dtype: 'FP32', shape: [1, -1] };
const TIMED = { TEXT: { to: 'text' }, SEGMENTS: { to: 'segments', encoding: 'json', optional: true } };

interface Setting {
  readonly kind?: string;
  readonly map: JsonObject;
  readonly options?: JsonObject;
  readonly seconds?: number;
  readonly resumeFrom?: Json;
  /** Names of the outputs that the model has; by default unknown. */
  readonly outputs?: readonly string[];
}

/** Runs a kind against a model that is a function of its inputs and of the outputs that are requested. */
async function run(
  { kind = 'transcribe', map, options = {}, seconds = 1, resumeFrom, outputs = [] }: Setting,
  model: (inputs: readonly Tensor[], requested: readonly string[]) => Tensor[],
) {
  const asked: (readonly string[])[] = [];
  const checkpoints: Json[] = [];
  const told: (readonly Json[])[] = [];
  const client: TensorClient = {
    async *responses(_, inputs, __, { outputs: requested = [] } = {}) {
      asked.push(requested);
      yield new Map(model(inputs, requested).map((tensor) => [tensor.name, tensor]));
    },
    tensors: async () => ({
      inputs: [],
      outputs: outputs.map((name) => ({ name, datatype: 'BYTES', shape: [-1, 1] })),
    }),
  };
  const { output } = await new TensorModels(client, tensorMap(kind).parse(map)).invoke(
    { kind, model: 'm', with: options, input: { audio: {} } },
    {
      signal: new AbortController().signal,
      emit: () => undefined,
      checkpoint: (progress) => void checkpoints.push(progress),
      segments: (from, more) => void told.push(from === 0 ? [...more] : []),
      ...(resumeFrom !== undefined && { resumeFrom }),
      audio: {
        async *read(_, { sampleRate }) {
          for (let second = 0; second < seconds; second++) yield new Float32Array(sampleRate).fill(0.5);
        },
        write: () => Promise.reject(new Error('writes no audio')),
      },
    },
    plainRequests(),
  );
  return { output, asked, checkpoints, told };
}

/** Says in each window how long it is, as one segment with one word. */
const recognise = (inputs: readonly Tensor[], requested: readonly string[]) => {
  const end = readFp32(inputs[0] as Tensor).length / 16_000;
  const text = `${Math.round(end)} s`;
  const segments = [{ start: 0.5, end, text: ` ${text}`, words: [{ start: 0.5, end, text: ` ${text}` }] }];
  return [
    wire('TEXT', 'BYTES', [1, 1], [text]),
    ...(requested.includes('SEGMENTS') ? [wire('SEGMENTS', 'BYTES', [1, 1], [JSON.stringify(segments)])] : []),
  ];
};

describe('segments of a recogniser', () => {
  const map = { inputs: { AUDIO: SPEECH }, outputs: TIMED };

  it('have times from the start of the audio, over all windows', async () => {
    const { output, asked } = await run({ map, seconds: 70, options: { segments: 'segments' } }, recognise);
    const segments = output.segments as unknown as { start: number; end: number; text: string }[];
    expect(segments).toHaveLength(3);
    expect(segments[0]).toEqual({ start: 0.5, end: expect.any(Number), text: expect.stringMatching(/^\d+ s$/) });
    for (const [i, { start }] of segments.entries()) {
      expect(start).toBeCloseTo((segments[i - 1]?.end ?? 0) + 0.5, 2);
    }
    expect(segments.at(-1)?.end).toBeCloseTo(70, 2);
    expect(asked.every((names) => names.includes('SEGMENTS'))).toBe(true);
    expect(output.text).toBe(segments.map(({ text }) => text).join(' '));
  });

  it('are told after each window, behind those of an earlier attempt, and not where none are asked for', async () => {
    const given = { map, seconds: 70, options: { segments: 'segments' } };
    const { output, told, checkpoints } = await run(given, recognise);
    const segments = output.segments as Json[];
    expect(told).toEqual([segments.slice(0, 1), segments.slice(0, 2), segments]);
    const resumed = await run({ ...given, resumeFrom: checkpoints[1] as Json }, recognise);
    expect(resumed.told).toEqual([segments]);
    expect((await run({ map, seconds: 70 }, recognise)).told).toEqual([]);
  });

  it('have their words only if the stage asks for them', async () => {
    const { output } = await run({ map, seconds: 40, options: { segments: 'words' } }, recognise);
    const [, second] = output.segments as unknown as { start: number; words: { start: number; text: string }[] }[];
    expect(second?.words).toEqual([{ start: second?.start, end: 40, text: expect.any(String) }]);
  });

  it('are not requested of the model by a stage that wants the text alone', async () => {
    const { output, asked, checkpoints } = await run({ map }, recognise);
    expect(output).toEqual({ text: '1 s' });
    expect(asked).toEqual([['TEXT']]);
    expect(checkpoints).toEqual([{ sample: 16_000, text: '1 s' }]);
  });

  it('of a script without spaces are joined without one', async () => {
    const says = (text: string) => run({ map, seconds: 70 }, () => [wire('TEXT', 'BYTES', [1, 1], [text])]);
    expect((await says('今日は晴れです。')).output.text).toBe('今日は晴れです。'.repeat(3));
    expect((await says(' สวัสดีครับ')).output.text).toBe('สวัสดีครับ'.repeat(3));
    expect((await says('好的！')).output.text).toBe('好的！'.repeat(3));
    expect((await says('안녕하세요.')).output.text).toBe('안녕하세요. 안녕하세요. 안녕하세요.');
    expect((await says('用 GPT')).output.text).toBe('用 GPT 用 GPT 用 GPT');
  });

  it('of earlier windows are kept by an attempt that goes on', async () => {
    const setting = { map, seconds: 70, options: { segments: 'words' } };
    const whole = await run(setting, recognise);
    const [first] = whole.checkpoints;
    const resumed = await run({ ...setting, ...(first !== undefined && { resumeFrom: first }) }, recognise);
    expect(resumed.asked).toHaveLength(2);
    expect(resumed.output).toEqual(whole.output);
  });

  it('are all there where the earlier attempt was a worker’s that kept none', async () => {
    const setting = { map, seconds: 70, options: { segments: 'words' } };
    const resumed = await run({ ...setting, resumeFrom: { sample: 480_000, text: 'no times' } }, recognise);
    expect(resumed.output).toEqual((await run(setting, recognise)).output);
  });

  it('are missing where neither map nor model has them, which only a stage notices that asks for them', async () => {
    const without = { inputs: { AUDIO: SPEECH }, outputs: { TEXT: { to: 'text' } } };
    const settings: Setting[] = [{ map: without }, { map, outputs: ['TEXT'] }];
    for (const setting of settings) {
      expect((await run(setting, recognise)).output).toEqual({ text: '1 s' });
      await expect(run({ ...setting, options: { segments: 'words' } }, recognise)).rejects.toMatchObject({
        code: 'CAPABILITY_MISSING',
        message: expect.stringContaining('"segments"'),
      });
    }
  });

  it.each<[string, string]>([
    ['null', 'no list of segments'],
    ['[{"start":0,"end":"1","text":"x"}]', 'no list of segments'],
    ['[{"start":0,"end":1,"text":"x","words":[{}]}]', 'no list of segments'],
    ['[', 'JSON'],
  ])('that are none: %s', async (json, message) => {
    const model = () => [wire('TEXT', 'BYTES', [1, 1], ['x']), wire('SEGMENTS', 'BYTES', [1, 1], [json])];
    await expect(run({ map, options: { segments: 'segments' } }, model)).rejects.toMatchObject({
      code: 'INVALID_OUTPUT',
      message: expect.stringContaining(message),
    });
  });

  it('keep a speaker that the model names', () => {
    expect(segmentsOf([{ start: 0, end: 1, text: ' a ', speaker: 'ann', id: 7 }])).toEqual([
      { start: 0, end: 1, text: 'a', speaker: 'ann' },
    ]);
  });

  it('must be JSON in the map, and the text must not be optional', () => {
    const issues = (outputs: JsonObject) => {
      const { error } = tensorMap('transcribe').safeParse({ inputs: { AUDIO: SPEECH }, outputs });
      return error?.issues.map(({ message }) => message);
    };
    expect(issues({ TEXT: { to: 'text' }, S: { to: 'segments' } })).toEqual(['must be "json" for segments']);
    expect(issues({ TEXT: { to: 'text', optional: true } })).toEqual([
      expect.stringContaining('none gives what a transcribe stage needs'),
    ]);
  });
});

describe('who speaks when', () => {
  const map = {
    inputs: { AUDIO: { from: 'audio', dtype: 'INT16', shape: [-1], seconds: 1_800 } },
    outputs: { SPANS: { to: 'spans', most: 3 }, LABELS: { to: 'classes' }, SCORES: { to: 'scores' } },
  };
  const speakers = () => [
    wire('SPANS', 'FP32', [4, 2], [0, 1.5, 2, 3, 3, 3.5, 4, 6]),
    wire('LABELS', 'BYTES', [4], ['speaker-0', 'speaker-1', 'speaker-0', 'speaker-1']),
    wire('SCORES', 'FP32', [4], [0.75, 0.5, 0.25, 1]),
  ];

  it('is told in order of time, with the surest if there are too many', async () => {
    const { output } = await run({ kind: 'detect', map, seconds: 3 }, speakers);
    expect(output.detections).toEqual([
      { label: 'speaker-0', score: 0.75, span: { startMs: 0, endMs: 1_500 } },
      { label: 'speaker-1', score: 0.5, span: { startMs: 2_000, endMs: 3_000 } },
      { label: 'speaker-1', score: 1, span: { startMs: 4_000, endMs: 6_000 } },
    ]);
  });

  it('is asked with the whole recording as 16-bit samples', async () => {
    let sent: Tensor | undefined;
    await run({ kind: 'detect', map, seconds: 90 }, ([audio]) => {
      sent = audio;
      return speakers();
    });
    expect(sent).toMatchObject({ name: 'AUDIO', datatype: 'INT16', shape: [90 * 16_000] });
    expect(sent?.raw.length).toBe(90 * 16_000 * 2);
    expect(sent?.raw.readInt16LE(0)).toBe(Math.round(0.5 * 32_767));
  });

  it('is not asked with a recording that is longer than the model takes', async () => {
    const short = { ...map, inputs: { AUDIO: { ...map.inputs.AUDIO, seconds: 2 } } };
    await expect(run({ kind: 'detect', map: short, seconds: 3 }, speakers)).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('longer than 2 s'),
    });
  });
});

import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { plainRequests, type TensorClient, TensorModels } from '../../../../activities/connectors/tensors/index.js';
import { tensorMap } from '../../../../activities/connectors/tensors/map-schema.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { readTexts, type Tensor } from '../../../../protocols/open-inference/tensors.js';
import { wire } from './tensor-run.js';

/* Embeddings of images and sounds beside texts, through tensor maps. */

const TEXT = { from: 'text', dtype: 'BYTES', shape: [1] };
const IMAGE = { from: 'image', dtype: 'FP32', shape: [1, 3, 4, 4] };
const AUDIO = { from: 'audio', dtype: 'FP32', shape: [1, -1], sampleRate: 8_000, seconds: 2 };
const LENGTH = { from: 'length', dtype: 'INT32', shape: [1] };
const optional = (entry: object) => ({ ...entry, optional: true });
const OUTPUTS = { E: { to: 'embedding' } };

/** A vector of the first of what is sent: texts up, images aside, sounds down. */
const encoder = (sent: readonly Tensor[]) => {
  const [first] = sent;
  const [x, y] = first?.name === 'IMAGE' ? [1, 0] : first?.name === 'TEXT' ? [0, 1] : [0, -1];
  return [wire('E', 'FP32', [1, 2], [x, y])];
};

function models(inputs: JsonObject) {
  const sent: (readonly Tensor[])[] = [];
  const client: TensorClient = {
    async *responses(_, tensors) {
      sent.push(tensors);
      yield new Map(encoder(tensors).map((tensor) => [tensor.name, tensor]));
    },
    tensors: async () => ({ inputs: [], outputs: [] }),
  };
  return { sent, of: new TensorModels(client, tensorMap('embed').parse({ inputs, outputs: OUTPUTS })) };
}

async function embed(inputs: JsonObject, input: object, seconds = 1) {
  const { sent, of } = models(inputs);
  const png = await sharp({ create: { width: 8, height: 8, channels: 3, background: '#ff0000' } })
    .png()
    .toBuffer();
  const { output } = await of.invoke(
    { kind: 'embed', model: 'm', with: {}, input: input as JsonObject },
    {
      signal: new AbortController().signal,
      emit: () => undefined,
      checkpoint: () => undefined,
      bytes: async () => png,
      audio: {
        async *read(_, { sampleRate }) {
          for (let second = 0; second < seconds; second++) yield new Float32Array(sampleRate);
        },
        write: () => Promise.reject(new Error('writes nothing')),
      },
    },
    plainRequests(),
  );
  return { output, sent };
}

const medium = {} as never;
const names = (sent: readonly (readonly Tensor[])[]) => sent.map((tensors) => tensors.map(({ name }) => name));

describe('a model of several kinds', () => {
  const inputs = { TEXT: optional(TEXT), IMAGE: optional(IMAGE), AUDIO: optional(AUDIO), LENGTH: optional(LENGTH) };

  it('embeds a mixed list in its order, each item by its own tensors', async () => {
    const items = [{ image: medium }, { text: 'a mill' }, { audio: medium }];
    const { output, sent } = await embed(inputs, { items });
    expect(output).toEqual({
      embeddings: [
        [1, 0],
        [0, 1],
        [0, -1],
      ],
    });
    expect(names(sent)).toEqual(expect.arrayContaining([['IMAGE'], ['TEXT'], ['AUDIO', 'LENGTH']]));
  });

  it('embeds one image, one sound, and texts as before', async () => {
    expect((await embed(inputs, { image: medium })).output).toEqual({ embedding: [1, 0] });
    expect((await embed(inputs, { audio: medium })).output).toEqual({ embedding: [0, -1] });
    const { output, sent } = await embed(inputs, { texts: ['a', 'b'] });
    expect(output.embeddings).toHaveLength(2);
    expect(sent.flatMap(([tensor]) => readTexts(tensor as Tensor))).toEqual(['a', 'b']);
  });

  it('is probed with one of them', async () => {
    const { sent, of } = models(inputs);
    await of.probe('embed', 'm', new AbortController().signal, plainRequests());
    expect(names(sent)).toEqual([['TEXT']]);
    const media = models({ IMAGE: optional(IMAGE), AUDIO: optional(AUDIO) });
    await media.of.probe('embed', 'm', new AbortController().signal, plainRequests());
    expect(names(media.sent)).toEqual([['IMAGE']]);
  });

  it('is not asked with a sound that is longer than it takes', async () => {
    await expect(embed(inputs, { audio: medium }, 3)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
  });
});

describe('what no input of the map carries is CAPABILITY_MISSING, unasked:', () => {
  it.each<[string, JsonObject, object, string]>([
    ['an image', { TEXT }, { image: medium }, 'image'],
    ['a text', { IMAGE }, { text: 'x' }, 'text'],
    [
      'a sound of a list',
      { TEXT: optional(TEXT), IMAGE: optional(IMAGE) },
      { items: [{ text: 'x' }, { audio: medium }] },
      'items.1.audio',
    ],
    ['a video', { TEXT: optional(TEXT), IMAGE: optional(IMAGE) }, { video: medium }, 'video'],
  ])('%s', async (_, inputs, input, field) => {
    await expect(embed(inputs, input)).rejects.toMatchObject({
      code: 'CAPABILITY_MISSING',
      details: { fields: [{ field }] },
    });
  });
});

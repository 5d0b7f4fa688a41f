import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { noAudio } from '../../../../activities/connectors/contract/index.js';
import { plainRequests, type TensorClient, TensorModels } from '../../../../activities/connectors/tensors/index.js';
import { tensorMap } from '../../../../activities/connectors/tensors/map-schema.js';
import type { Artifact } from '../../../../pipelines/artifact.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { detectKind } from '../../../../pipelines/stages/detect.js';
import type { Tensor } from '../../../../protocols/open-inference/index.js';
import { wire } from './tensor-run.js';

/* Masks of what is found in an image, through tensor maps. */

const INPUT = { IMAGE: { from: 'image', dtype: 'UINT8', shape: [1, 8, 8, 3], layout: 'HWC' } };
const OUTPUTS = { BOXES: { to: 'boxes' }, SCORES: { to: 'scores' }, MASKS: { to: 'masks' } };

interface Setting {
  readonly inputs?: JsonObject;
  readonly outputs?: JsonObject;
  readonly options?: JsonObject;
  /** Size of the image given. */
  readonly size?: readonly [width: number, height: number];
}

const imageOf = ([width, height]: readonly [number, number]) =>
  sharp({ create: { width, height, channels: 3, background: '#fff' } })
    .png()
    .toBuffer();

/** Runs a detector that is a list of tensors. */
async function detect(
  tensors: readonly Tensor[],
  { inputs = INPUT, outputs = OUTPUTS, options = { masks: true }, size = [8, 8] }: Setting = {},
) {
  const requested: (readonly string[])[] = [];
  const written: Buffer[] = [];
  const client: TensorClient = {
    async *responses(_, __, ___, asked) {
      requested.push(asked?.outputs ?? []);
      yield new Map(tensors.map((tensor) => [tensor.name, tensor]));
    },
    tensors: async () => ({ inputs: [], outputs: [] }),
  };
  const file = await imageOf(size);
  const { output } = await new TensorModels(client, tensorMap('detect').parse({ inputs, outputs })).invoke(
    { kind: 'detect', model: 'm', with: options, input: { image: {} as never } },
    {
      signal: new AbortController().signal,
      audio: noAudio,
      emit: () => undefined,
      checkpoint: () => undefined,
      bytes: async () => file,
      artifacts: {
        read: () => Promise.reject(new Error('reads nothing')),
        async write(bytes, { type }) {
          written.push(Buffer.from(bytes));
          const sha256 = String(written.length).padStart(64, '0');
          return { uri: `artifact://t/${sha256}`, sha256, mime: type, bytes: bytes.length } as Artifact;
        },
      },
    },
    plainRequests(),
  );
  const pictures = await Promise.all(written.map(pictureOf));
  return { detections: output.detections as JsonObject[], output, requested, pictures };
}

/** The rows of a PNG as text: `#` is white. */
async function pictureOf(png: Buffer): Promise<string[]> {
  const { data, info } = await sharp(png).toColourspace('b-w').raw().toBuffer({ resolveWithObject: true });
  expect(await sharp(png).metadata()).toMatchObject({ format: 'png', width: info.width, height: info.height });
  const at = (x: number, y: number) => (data[(y * info.width + x) * info.channels] ? '#' : '.');
  return Array.from({ length: info.height }, (_, y) => Array.from({ length: info.width }, (_, x) => at(x, y)).join(''));
}

/** A mask of 8 × 8 that is 1 in this rectangle. */
const grid = (left: number, top: number, right: number, bottom: number, inside = 1, outside = 0) =>
  Array.from({ length: 64 }, (_, i) => {
    const [x, y] = [i % 8, Math.floor(i / 8)];
    return x >= left && x < right && y >= top && y < bottom ? inside : outside;
  });

const FOUND = [wire('BOXES', 'FP32', [2, 4], [1, 1, 4, 3, 5, 5, 8, 8]), wire('SCORES', 'FP32', [2], [0.5, 0.75])];
const two = (first: number[], second: number[]) => [...FOUND, wire('MASKS', 'FP32', [2, 8, 8], [...first, ...second])];

describe('masks', () => {
  it('are pictures of the whole image, each with its detection, though these are in another order', async () => {
    const { detections, output, pictures } = await detect(two(grid(1, 1, 3, 3), grid(6, 6, 8, 8)));
    expect(detections.map(({ score, mask }) => [score, (mask as JsonObject).sha256])).toEqual([
      [0.75, '1'.padStart(64, '0')],
      [0.5, '2'.padStart(64, '0')],
    ]);
    expect(pictures).toEqual([
      ['........', '........', '........', '........', '........', '........', '......##', '......##'],
      ['........', '.##.....', '.##.....', '........', '........', '........', '........', '........'],
    ]);
    expect(detectKind.output.safeParse(output).success).toBe(true);
  });

  it('are as large as the image given, up to 1,024 pixels, whatever the model’s size is', async () => {
    const { pictures } = await detect(two(grid(0, 0, 4, 8), grid(0, 0, 0, 0)), {
      size: [32, 16],
      outputs: { ...OUTPUTS, BOXES: { to: 'boxes', unit: 'source' } },
    });
    const tensors = [
      wire('BOXES', 'FP32', [1, 4], [0, 0, 1, 1]),
      wire('SCORES', 'FP32', [1], [1]),
      wire('MASKS', 'FP32', [1, 8, 8], grid(0, 0, 4, 8)),
    ];
    const outputs = { ...OUTPUTS, BOXES: { to: 'boxes', unit: 'share' } };
    const whole = await detect(tensors, { size: [32, 16], outputs });
    expect(whole.pictures[0]).toEqual(Array.from({ length: 16 }, () => `${'#'.repeat(16)}${'.'.repeat(16)}`));
    expect(pictures[0]?.[0]).toHaveLength(32);
    const large = await detect(tensors, { size: [4_096, 1_024], outputs });
    expect([large.pictures[0]?.[0]?.length, large.pictures[0]?.length]).toEqual([1_024, 256]);
    expect(large.pictures[0]?.[100]).toBe(`${'#'.repeat(512)}${'.'.repeat(512)}`);
  });

  it('leave out the margin that the model saw', async () => {
    // Twice as wide as high: two rows of margin above and below.
    const inputs = { IMAGE: { ...INPUT.IMAGE, fit: 'contain' } };
    const tensors = [
      wire('BOXES', 'FP32', [1, 4], [0, 0, 8, 8]),
      wire('SCORES', 'FP32', [1], [1]),
      wire('MASKS', 'FP32', [1, 1, 8, 8], grid(0, 2, 8, 4)),
    ];
    const { pictures } = await detect(tensors, { inputs, size: [8, 4] });
    expect(pictures[0]).toEqual(['########', '########', '........', '........']);
  });

  it('of a box are stretched over it', async () => {
    const tensors = [
      wire('BOXES', 'FP32', [1, 4], [2, 2, 6, 6]),
      wire('SCORES', 'FP32', [1], [1]),
      wire('MASKS', 'FP32', [1, 2, 2], [1, 0, 0, 0]),
    ];
    const { pictures } = await detect(tensors, { outputs: { ...OUTPUTS, MASKS: { to: 'masks', covers: 'box' } } });
    const empty = '........';
    expect(pictures[0]).toEqual([empty, empty, '..##....', '..##....', empty, empty, empty, empty]);
  });

  it.each<[string, JsonObject, number, number]>([
    ['logits', { activation: 'sigmoid' }, 0.1, -0.1],
    ['logits with a threshold', { activation: 'sigmoid', threshold: 0.9 }, 2.2, 2.19],
    ['shares with a threshold', { threshold: 0.2 }, 0.21, 0.19],
  ])('are made of %s', async (_, entry, inside, outside) => {
    const outputs = { ...OUTPUTS, MASKS: { to: 'masks', ...entry } };
    const { pictures } = await detect(two(grid(1, 1, 3, 3, inside, outside), grid(6, 6, 8, 8, inside, outside)), {
      outputs,
    });
    expect(pictures.flat().join('').split('#')).toHaveLength(4 + 4 + 1);
  });

  it('of booleans are read', async () => {
    const bits = [...grid(1, 1, 3, 3), ...grid(6, 6, 8, 8)].map((value) => value === 1);
    const { pictures } = await detect([...FOUND, wire('MASKS', 'BOOL', [2, 8, 8], bits)]);
    expect(pictures[1]?.[1]).toBe('.##.....');
  });

  it('are made of the best detections alone, as many as the map says', async () => {
    const outputs = { ...OUTPUTS, MASKS: { to: 'masks', most: 1 } };
    const { detections, pictures } = await detect(two(grid(0, 0, 1, 1), grid(6, 6, 8, 8)), { outputs });
    expect(pictures).toHaveLength(1);
    expect(detections.map(({ mask }) => mask !== undefined)).toEqual([true, false]);
  });

  it('are neither requested nor made for a stage that does not ask for them', async () => {
    const { detections, requested, pictures } = await detect(two(grid(1, 1, 3, 3), grid(6, 6, 8, 8)), { options: {} });
    expect(requested).toEqual([['BOXES', 'SCORES']]);
    expect(pictures).toEqual([]);
    expect(detections[0]).toEqual({ label: 'object', score: 0.75, box: { x: 5, y: 5, width: 3, height: 3 } });
  });

  it('that the map lacks are CAPABILITY_MISSING, unasked', async () => {
    const { MASKS: _, ...outputs } = OUTPUTS;
    await expect(detect([], { outputs })).rejects.toMatchObject({ code: 'CAPABILITY_MISSING' });
  });

  it.each<[string, Tensor]>([
    ['too few', wire('MASKS', 'FP32', [1, 8, 8], grid(0, 0, 1, 1))],
    ['a mask for each class', wire('MASKS', 'FP32', [2, 2, 8, 8], new Array(256).fill(0))],
    ['no rows', wire('MASKS', 'FP32', [2, 64], new Array(128).fill(0))],
    ['texts', wire('MASKS', 'BYTES', [2, 1, 1], ['x', 'y'])],
  ])('with %s are INVALID_OUTPUT', async (_, masks) => {
    await expect(detect([...FOUND, masks])).rejects.toMatchObject({
      code: 'INVALID_OUTPUT',
      message: expect.stringContaining('MASKS'),
    });
  });

  it('are sums of prototypes, weighed by coefficients behind the classes', async () => {
    // Two classes, two coefficients, three rows: centre and size, scores, weights.
    const rows = [
      [2, 2, 4, 4, 0.9, 0.1, 1, 0],
      [6, 6, 4, 4, 0.2, 0.8, -1, 2],
      [4, 4, 2, 2, 0.1, 0.2, 0, 0],
    ];
    const columns = rows[0]?.flatMap((_, i) => rows.map((row) => row[i] as number)) ?? [];
    const tensors = [
      wire('PREDICTIONS', 'FP32', [1, 8, 3], columns),
      wire('PROTOTYPES', 'FP32', [1, 2, 8, 8], [...grid(0, 0, 3, 3, 1, -1), ...grid(5, 5, 7, 7, 1, -1)]),
    ];
    const outputs = {
      PREDICTIONS: { to: 'predictions', coefficients: 2, labels: ['cat', 'dog'], threshold: 0.5 },
      PROTOTYPES: { to: 'masks' },
    };
    const { detections, pictures } = await detect(tensors, { outputs });
    expect(detections.map(({ label, box }) => [label, box])).toEqual([
      ['cat', { x: 0, y: 0, width: 4, height: 4 }],
      ['dog', { x: 4, y: 4, width: 4, height: 4 }],
    ]);
    const empty = '........';
    expect(pictures).toEqual([
      ['###.....', '###.....', '###.....', empty, empty, empty, empty, empty],
      [empty, empty, empty, empty, empty, '.....##.', '.....##.', empty],
    ]);
    const without = await detect(tensors, { outputs, options: {} });
    expect(without.detections).toEqual(detections.map(({ mask: _, ...detection }) => detection));
    expect(without.requested).toEqual([['PREDICTIONS']]);
  });

  it('go with boxes in a map', () => {
    const { error } = tensorMap('detect').safeParse({
      inputs: INPUT,
      outputs: { T: { to: 'texts' }, M: { to: 'masks' } },
    });
    expect(error?.issues.map(({ message }) => message)).toEqual([
      'masks go with boxes, or with predictions that have coefficients',
    ]);
  });
});

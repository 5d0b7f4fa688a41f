import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import OpenAI from 'openai';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { inspectorOf } from '../../../../media/index.js';
import { chatModel } from '../../../../pipelines/catalog/index.js';
import { generate, type Pipeline, pipeline } from '../../../../pipelines/index.js';
import type { Json, JsonObject } from '../../../../pipelines/json.js';
import { failure } from '../../../support/fake-temporal.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

/** OpenAI's client, unchanged, at a gateway whose runs are scripted: models of images do not run here. */

const paint = pipeline(
  'paint',
  {
    input: z.object({
      prompt: z.string(),
      count: z.int().min(1).max(4).optional(),
      size: z.enum(['512x512', '1024x1024']).optional(),
    }),
  },
  ({ input, stage }) => ({
    images: stage('paint', generate({ model: 'painter', makes: 'image' }), {
      prompt: input.prompt,
      count: input.count,
    }).images,
  }),
);
const poster = pipeline('poster', { input: z.object({ text: z.string() }) }, ({ input, stage }) => ({
  image: stage('paint', generate({ model: 'painter', makes: 'image' }), { prompt: input.text }).image,
}));
/** Its field has characters that an address cannot have as they are. */
const ODD = 'a poster/50% #1?';
const odd = pipeline(
  'odd',
  { input: z.object({ text: z.string() }), openai: { images: { input: 'text', output: ODD } } },
  ({ input, stage }) => ({
    [ODD]: stage('paint', generate({ model: 'painter', makes: 'image' }), { prompt: input.text }).image,
  }),
);

let gateway: TestGateway;
let client: OpenAI;
let base: string;
beforeEach(async () => {
  const pipelines = [paint, poster, odd, chatModel] as unknown as Pipeline[];
  gateway = await testGateway({}, { pipelines, placementOf: () => ({}) });
  await gateway.app.listen({ host: '127.0.0.1', port: 0 });
  base = `http://127.0.0.1:${(gateway.app.server.address() as AddressInfo).port}`;
  client = new OpenAI({ baseURL: `${base}/v1`, apiKey: 'none', maxRetries: 0 });
});
afterEach(() => gateway.close());

const HEAD = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
/** Of a length that is no multiple of three, in pieces of which none is. */
const picture = (fill: number, bytes = 200_000) => Buffer.concat([HEAD, Buffer.alloc(bytes, fill)]);
const stored = async (file: Buffer): Promise<Json> => {
  const artifact = await gateway.deps.artifacts.put('default', Readable.from([file]), inspectorOf('image'));
  return { ...artifact } as unknown as Json;
};
const answers = (output: JsonObject) => {
  gateway.temporal.onStart = (run) => run.end({ output, stages: [] });
};
const inputGiven = (): JsonObject => gateway.temporal.only().options.args[0];

describe('images', () => {
  test('are in the response, each as it was made', async () => {
    const files = [picture(1), picture(2, 199_999), picture(3, 1)];
    answers({ images: await Promise.all(files.map(stored)) });
    const { data = [], created } = await client.images.generate({
      model: 'paint',
      prompt: 'a mill',
      n: 3,
      size: '512x512',
    });
    expect(data.map(({ b64_json }) => b64_json)).toEqual(files.map((file) => file.toString('base64')));
    expect(created).toBeGreaterThan(1_700_000_000);
    expect(inputGiven()).toEqual({ prompt: 'a mill', count: 3, size: '512x512' });
  });

  test('are addresses of the gateway where the client asks for them', async () => {
    const image = await stored(picture(1));
    answers({ image });
    const { data = [] } = await client.images.generate({ model: 'poster', prompt: 'a mill', response_format: 'url' });
    expect(data).toEqual([{ url: expect.stringMatching(/^http.*\/v1\/runs\/[^/]+\/artifacts\/image$/) }]);
    expect(inputGiven()).toEqual({ text: 'a mill' });
    const file = await fetch(data[0]?.url ?? '');
    expect(Buffer.from(await file.arrayBuffer()).equals(picture(1))).toBe(true);
  });

  test.each([
    ['of a field with a name for addresses', 'odd', (image: Json) => ({ [ODD]: image })],
    ['of a list', 'paint', (image: Json) => ({ images: [null, image] })],
  ])('are fetched by their addresses: %s', async (_, model, outputWith) => {
    answers(outputWith(await stored(picture(4))));
    const { data = [] } = await client.images.generate({ model, prompt: 'a mill', response_format: 'url' });
    expect(data).toHaveLength(1);
    const file = await fetch(data[0]?.url ?? '');
    expect(Buffer.from(await file.arrayBuffer()).equals(picture(4))).toBe(true);
  });

  test('of a model are listed with its endpoint, and a conversation is none', async () => {
    const models = await client.models.list();
    const of = (name: string) =>
      (models.data.find(({ id }) => id === name) as unknown as { endpoints: string[] }).endpoints;
    expect(of('paint')).toEqual(['/v1/images/generations']);
    expect(of('chat')).not.toContain('/v1/images/generations');
  });

  test('ignores what states a default, and nothing else', async () => {
    answers({ image: await stored(picture(1)) });
    const ask = {
      model: 'poster',
      prompt: 'a mill',
      n: 1,
      size: 'auto',
      quality: 'auto',
      user: 'u',
      stream: false,
    } as const;
    expect((await client.images.generate(ask)).data).toHaveLength(1);
  });
});

describe('what cannot be made as it is meant is refused by the parameter', () => {
  test.each<[string, object, string]>([
    ['a number beyond the limit', { n: 11 }, 'n'],
    ['a number beyond the pipeline’s', { n: 5 }, 'n'],
    ['a size that the pipeline has not', { size: '1x1' }, 'size'],
    ['a quality', { quality: 'hd' }, 'quality'],
    ['several of one', { model: 'poster', n: 2 }, 'n'],
    ['no prompt', { prompt: '' }, 'prompt'],
    ['a stream', { stream: true }, 'stream'],
    ['an unknown parameter', { steps: 3 }, 'steps'],
    ['a format that is none', { response_format: 'png' }, 'response_format'],
  ])('%s', async (_, more, param) => {
    const body = { model: 'paint', prompt: 'a mill', ...more } as OpenAI.ImageGenerateParamsNonStreaming;
    const error = await client.images.generate(body).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    expect(error).toMatchObject({ code: 'INVALID_INPUT', param });
    expect(gateway.temporal.runs.size).toBe(0);
  });

  test('a model of another kind, by its endpoints', async () => {
    const error = await client.images.generate({ model: 'chat', prompt: 'a' }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.NotFoundError);
    expect(String(error)).toContain('/v1/chat/completions');
  });

  test('a run that fails has its code', async () => {
    gateway.temporal.onStart = (run) => run.end(failure('INVALID_OUTPUT', 'the file is no image', { stages: [] }));
    await expect(client.images.generate({ model: 'paint', prompt: 'a' })).rejects.toMatchObject({
      code: 'INVALID_OUTPUT',
    });
  });

  test('an image that is gone is an error, not half a response', async () => {
    const image = (await stored(picture(1))) as JsonObject;
    const sha256 = '0'.repeat(64);
    answers({ image: { ...image, sha256, uri: `artifact://default/${sha256}` } });
    await expect(client.images.generate({ model: 'poster', prompt: 'a' })).rejects.toMatchObject({
      code: 'ARTIFACT_NOT_FOUND',
    });
  });
});

import type { OpenAI } from 'openai';
import { MillraceError } from '../../../pipelines/errors.js';
import { invalidField } from '../../../pipelines/invalid-fields.js';
import { isJsonObject, type Json, type JsonObject } from '../../../pipelines/json.js';
import { bytesOfBase64, generationOf, storedFiles } from '../generated.js';
import { extrasOf, withExtra } from './extra.js';
import type { KindHandler } from './kind-handler.js';

/** OpenAI's options of an image, for pools that state none: https://platform.openai.com/docs/api-reference/images/create */
const ACCEPTS: JsonObject = {
  type: 'object',
  properties: {
    size: { type: 'string', pattern: '^(auto|[1-9][0-9]{1,3}x[1-9][0-9]{1,3})$' },
    quality: { enum: ['auto', 'low', 'medium', 'high', 'standard', 'hd'] },
    style: { enum: ['vivid', 'natural'] },
    background: { enum: ['auto', 'transparent', 'opaque'] },
    output_format: { enum: ['png', 'jpeg', 'webp'] },
    output_compression: { type: 'integer', minimum: 0, maximum: 100 },
    moderation: { enum: ['auto', 'low'] },
    seed: { type: 'integer' },
  },
  additionalProperties: false,
};

/** Members that the connector sets, whatever a pool's schema accepts. */
const OWN = ['model', 'prompt', 'n', 'response_format', 'stream', 'partial_images', 'user'];

/** Images by `POST /v1/images/generations`, in the answer itself: addresses are not fetched. */
export const generate: KindHandler = {
  async invoke(call, context) {
    const { client, signal, options: pool } = context;
    const generation = generationOf(call, pool.accepts ?? ACCEPTS);
    const { makes, prompt, count, options } = generation;
    if (makes !== 'image') throw new MillraceError('CAPABILITY_MISSING', `openai makes images only, no ${makes}`);
    if (Array.isArray(call.input.images) && call.input.images.length > 0)
      throw new MillraceError('CAPABILITY_MISSING', 'openai makes images of a prompt alone: leave images out');
    const owned = Object.keys(options).find((name) => OWN.includes(name));
    if (owned !== undefined) throw invalidField(`options.${owned}`, 'is set by the connector');
    const body = {
      model: call.model,
      prompt,
      ...(count > 1 && { n: count }),
      ...(pool.imagesAs === 'b64_json' && { response_format: 'b64_json' as const }),
      ...options,
    };
    const answer: unknown = await client.images.generate(
      withExtra(body, ...extrasOf(call, pool)) as OpenAI.ImageGenerateParamsNonStreaming,
      { signal },
    );
    const { data, usage } = (isJsonObject(answer) ? answer : {}) as JsonObject;
    if (!Array.isArray(data)) throw new MillraceError('INVALID_OUTPUT', 'the answer has no list of images');
    return { output: await storedFiles(imagesOf(data as Json[]), generation, context), ...tokensOf(usage) };
  },
  /** That the server has the model is known by now; the smallest image would cost as much as any other. */
  probe: () => Promise.resolve(),
};

function* imagesOf(data: readonly Json[]): Generator<Uint8Array, void> {
  for (const item of data) yield imageOf(item);
}

function imageOf(item: Json): Uint8Array {
  const { b64_json, url } = isJsonObject(item) ? item : ({} as JsonObject);
  if (typeof b64_json === 'string') return bytesOfBase64(b64_json);
  const why = typeof url === 'string' ? 'by its address, which is not fetched' : 'without its bytes';
  throw new MillraceError('INVALID_OUTPUT', `the server gives an image ${why}: it must answer with b64_json`);
}

function tokensOf(usage: Json | undefined) {
  const { input_tokens: inputTokens, output_tokens: outputTokens } = isJsonObject(usage) ? usage : ({} as JsonObject);
  const known = {
    ...(typeof inputTokens === 'number' && { inputTokens }),
    ...(typeof outputTokens === 'number' && { outputTokens }),
  };
  return Object.keys(known).length > 0 ? { usage: known } : {};
}

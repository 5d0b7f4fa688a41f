import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { type Artifact, isArtifact } from '../../pipelines/artifact.js';
import { OPENAI_PARAMETERS } from '../../pipelines/definition/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import { MOST_GENERATED } from '../../pipelines/stages/index.js';
import type { RunDocument } from '../../runs/document.js';
import { callerOf, idempotencyKeyOf } from '../access/caller.js';
import { persistenceOf } from '../access/retries.js';
import type { GatewayDeps } from '../deps.js';
import { takeJson } from '../http/json-body.js';
import { baseUrlOf } from '../http/public-url.js';
import { checked } from './body.js';
import { GENERATE_IMAGES } from './docs.js';
import { runToEnd, usageOf } from './model-run.js';
import { inputFor, type Models, onlyOutputs } from './models.js';

const text = z.string().max(64);
const body = z.object({
  model: z.string(),
  prompt: z.string().min(1),
  n: z.int().min(1).max(MOST_GENERATED).nullish(),
  size: text.nullish(),
  quality: text.nullish(),
  style: text.nullish(),
  background: text.nullish(),
  output_format: text.nullish(),
  output_compression: z.int().min(0).max(100).nullish(),
  moderation: text.nullish(),
  seed: z.int().nullish(),
  response_format: z.enum(['b64_json', 'url']).nullish(),
});

/** Values that state a default: a pipeline without the field may ignore them. */
const DEFAULTS: Readonly<Record<string, Json>> = {
  n: 1,
  size: 'auto',
  quality: 'auto',
  background: 'auto',
  moderation: 'auto',
};

/** `POST /v1/images/generations`: images of a prompt, in the response or as addresses of the gateway. */
export function imagesRoutes(app: FastifyInstance, deps: GatewayDeps, models: Models): void {
  takeJson(app);
  const options = { bodyLimit: deps.limits.maxJsonBytes, config: { doc: GENERATE_IMAGES } };
  app.post('/v1/images/generations', options, async (request, reply) => {
    const caller = callerOf(request);
    const idempotencyKey = idempotencyKeyOf(request.headers);
    const persistence = persistenceOf(request.headers);
    const {
      model: name,
      prompt,
      response_format,
      ...rest
    } = checked(body, request.body as Json, {
      harmless: ['user'],
      neutral: { stream: (value) => value === false, partial_images: (value) => value === 0 },
    });
    const model = models.get('images', name, caller);
    const { face, form, pipeline } = model;
    const fieldOf = (parameter: string) => OPENAI_PARAMETERS.images[parameter] ?? parameter;
    const parameters = Object.fromEntries(
      Object.entries(rest).filter(
        ([param, value]) =>
          form.fields.has(fieldOf(param)) || !Object.hasOwn(DEFAULTS, param) || DEFAULTS[param] !== value,
      ),
    );
    const input = inputFor(model, { [face.input]: prompt }, parameters, OPENAI_PARAMETERS.images, 'prompt');
    const order = {
      pipeline,
      caller,
      input,
      idempotencyKey,
      ...persistence,
      options: onlyOutputs(model, [face.output]),
    };
    const document = await runToEnd({ deps, request, reply }, order);
    const images = imagesIn(document, face.output);
    const about = { created: Math.floor(Date.now() / 1_000), ...usageIn(document) };
    if (response_format === 'url') {
      const run = `${baseUrlOf(deps.publicUrl, request)}/v1/runs/${encodeURIComponent(String(document.id))}`;
      return { ...about, data: images.map(({ path }) => ({ url: `${run}/artifacts/${path}` })) };
    }
    // What is gone by now is an error with its status; what is there is sent as it is read.
    for (const { image } of images) await deps.artifacts.stat(caller.tenant, image.uri);
    const read = ({ image }: Named) => deps.artifacts.read(caller.tenant, image.uri);
    reply.type('application/json; charset=utf-8');
    return await reply.send(Readable.from(inJson(about, images, read), { objectMode: false }));
  });
}

/** An image with the path of its field in the output. */
interface Named {
  readonly image: Artifact;
  readonly path: string;
}

/** The images of a run's output. Throws `INVALID_OUTPUT` if it has none. */
function imagesIn({ output }: RunDocument, field: string): Named[] {
  const value = output?.[field];
  const all = Array.isArray(value)
    ? value.map((image: Json, i): [Json, string] => [image, `${field}.${i}`])
    : [[value ?? null, field] as [Json, string]];
  const images = all.flatMap(([image, path]) => (isArtifact(image) ? [{ image, path }] : []));
  if (images.length === 0) throw new MillraceError('INVALID_OUTPUT', 'the pipeline has made no image');
  return images;
}

function usageIn(document: RunDocument) {
  const used = usageOf(document);
  if (!used) return {};
  const { input, output } = used;
  return { usage: { input_tokens: input, output_tokens: output, total_tokens: input + output } };
}

/** The response as text: no image is in memory as a whole. */
async function* inJson(
  about: object,
  images: readonly Named[],
  read: (image: Named) => AsyncIterable<Uint8Array>,
): AsyncGenerator<string, void> {
  yield `${JSON.stringify(about).slice(0, -1)},"data":[`;
  for (const [i, image] of images.entries()) {
    yield `${i > 0 ? ',' : ''}{"b64_json":"`;
    yield* base64Of(read(image));
    yield '"}';
  }
  yield ']}';
}

/** Three bytes are four characters: what is left of a chunk goes before the next. */
async function* base64Of(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void> {
  let left: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    const all =
      left.length > 0 ? Buffer.concat([left, chunk]) : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const whole = all.length - (all.length % 3);
    left = Buffer.from(all.subarray(whole));
    if (whole > 0) yield all.toString('base64', 0, whole);
  }
  if (left.length > 0) yield left.toString('base64');
}

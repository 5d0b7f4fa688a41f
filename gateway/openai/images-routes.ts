import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { type Artifact, isArtifact } from '../../pipelines/artifact.js';
import { OPENAI_PARAMETERS } from '../../pipelines/definition/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import { MOST_GENERATED } from '../../pipelines/stages/index.js';
import type { RunDocument } from '../../runs/document.js';
import type { GatewayDeps } from '../deps.js';
import { takeJson } from '../http/json-body.js';
import { baseUrlOf } from '../http/public-url.js';
import { forgetBody } from '../input/held-bodies.js';
import { checked } from './body.js';
import { GENERATE_IMAGES } from './docs.js';
import { readHeaders, runToEnd, tokensBody, usageOf } from './model-run.js';
import { inputFor, type Models } from './models.js';

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
    const { caller, orderOf } = readHeaders(request);
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
    const { face, form } = model;
    const fieldOf = (parameter: string) => OPENAI_PARAMETERS.images[parameter] ?? parameter;
    const parameters = Object.fromEntries(
      Object.entries(rest).filter(
        ([param, value]) =>
          form.fields.has(fieldOf(param)) || !Object.hasOwn(DEFAULTS, param) || DEFAULTS[param] !== value,
      ),
    );
    const input = inputFor(model, { [face.input]: prompt }, parameters, OPENAI_PARAMETERS.images, 'prompt');
    forgetBody(request);
    const document = await runToEnd({ deps, request, reply }, orderOf(model, input, [face.output]));
    const images = imagesIn(document, face.output);
    const about = { created: Math.floor(Date.now() / 1_000), ...usageIn(document) };
    if (response_format === 'url') {
      const base = baseUrlOf(deps.publicUrl, request);
      return { ...about, data: images.map(({ href }) => ({ url: `${base}${href}` })) };
    }
    // What is gone by now is an error with its status; what is there is sent as it is read.
    for (const { uri } of images) await deps.artifacts.stat(caller.tenant, uri);
    const read = ({ uri }: Artifact) => deps.artifacts.read(caller.tenant, uri);
    reply.type('application/json; charset=utf-8');
    return await reply.send(Readable.from(inJson(about, images, read), { objectMode: false }));
  });
}

/** An artifact of a run's document: with the path of its bytes. */
type Made = Artifact & { readonly href: string };

/** The images of a run's output. Throws `INVALID_OUTPUT` if it has none. */
function imagesIn({ output }: RunDocument, field: string): Made[] {
  const value = output?.[field] ?? null;
  const all: readonly Json[] = Array.isArray(value) ? value : [value];
  const images = all.filter((image) => isArtifact(image)) as readonly Artifact[];
  if (images.length === 0) throw new MillraceError('INVALID_OUTPUT', 'the pipeline returned no image');
  return images as Made[];
}

function usageIn(document: RunDocument) {
  const used = usageOf(document);
  return used ? { usage: tokensBody(used) } : {};
}

/** The response as text: no image is in memory as a whole. */
async function* inJson(
  about: object,
  images: readonly Artifact[],
  read: (image: Artifact) => AsyncIterable<Uint8Array>,
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

import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { isArtifact } from '../../pipelines/artifact.js';
import { OPENAI_PARAMETERS } from '../../pipelines/definition/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import { callerOf, idempotencyKeyOf } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { takeJson } from '../http/json-body.js';
import { checked } from './body.js';
import { SPEAK } from './docs.js';
import { invalidParam } from './error-body.js';
import { runToEnd } from './model-run.js';
import { inputFor, type Models, onlyOutputs } from './models.js';

const body = z.object({
  model: z.string(),
  input: z.string().min(1),
  voice: z.union([z.string(), z.object({ id: z.string() })]).nullish(),
  response_format: z.enum(['mp3', 'opus', 'aac', 'flac', 'wav', 'pcm']).nullish(),
  speed: z.number().min(0.25).max(4).nullish(),
  instructions: z.string().nullish(),
  stream_format: z.literal('audio', 'must be "audio"').nullish(),
});

/** The name of the only voice of a pipeline that takes none: OpenAI's clients have to give one. */
const ONLY_VOICE = 'default';

/** `POST /v1/audio/speech`: a text as the audio that the pipeline makes of it, which is WAV for most. */
export function speechRoutes(app: FastifyInstance, deps: GatewayDeps, models: Models): void {
  takeJson(app);
  const options = { bodyLimit: deps.limits.maxJsonBytes, config: { doc: SPEAK } };
  app.post('/v1/audio/speech', options, async (request, reply) => {
    const caller = callerOf(request);
    const idempotencyKey = idempotencyKeyOf(request.headers);
    const { voice, ...asked } = checked(body, request.body as Json, {});
    const model = models.get('speech', asked.model, caller);
    const { face, pipeline, form } = model;
    // OpenAI's own default is MP3: whoever leaves it out would play WAV as that.
    if (asked.response_format !== 'wav')
      throw invalidParam('response_format', 'must be "wav": the gateway encodes no other format');
    const named = typeof voice === 'object' ? voice?.id : voice;
    const parameters = {
      voice: form.fields.has('voice') || named !== ONLY_VOICE ? named : undefined,
      speed: asked.speed === 1 && !form.fields.has('speed') ? undefined : asked.speed,
      instructions: asked.instructions || undefined,
    };
    const input = inputFor(model, { [face.input]: asked.input }, parameters, OPENAI_PARAMETERS.speech, 'input');
    const order = { pipeline, caller, input, idempotencyKey, options: onlyOutputs(model, [face.output]) };
    const { output } = await runToEnd({ deps, request, reply }, order);
    const speech: unknown = output?.[face.output];
    if (!isArtifact(speech)) throw new MillraceError('INVALID_OUTPUT', 'the run has made no audio');
    const { mime, bytes } = await deps.artifacts.stat(speech.uri);
    if (mime !== 'audio/wav') throw new MillraceError('INVALID_OUTPUT', `the pipeline makes ${mime}, not WAV`);
    reply.type(mime).header('content-length', bytes);
    return await reply.send(Readable.from(deps.artifacts.read(speech.uri), { objectMode: false }));
  });
}

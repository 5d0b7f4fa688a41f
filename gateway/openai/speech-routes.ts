import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import type { GivenAudio, GivenFormat } from '../../media/index.js';
import { OPENAI_PARAMETERS } from '../../pipelines/definition/index.js';
import type { MillraceError } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import type { RunDocument } from '../../runs/document.js';
import type { Order } from '../../runs/order.js';
import type { StartedRun } from '../../runs/start.js';
import type { GatewayDeps } from '../deps.js';
import type { ServerEvent } from '../http/event-stream.js';
import { takeJson } from '../http/json-body.js';
import { leaving } from '../http/leaving.js';
import { forgetBody } from '../input/held-bodies.js';
import { checked } from './body.js';
import { SPEAK } from './docs.js';
import { errorBody } from './error-body.js';
import { sendAsEvents } from './event-answer.js';
import { audioOf, canGive, givenAudio, voiceFor } from './given-audio.js';
import { type Exchange, readHeaders, runToEnd, tokensBody, usageOf } from './model-run.js';
import { inputFor, type Model, type Models } from './models.js';

const body = z.object({
  model: z.string(),
  input: z.string().min(1),
  voice: z.union([z.string(), z.object({ id: z.string() })]).nullish(),
  response_format: z.enum(['mp3', 'opus', 'aac', 'flac', 'wav', 'pcm']).nullish(),
  speed: z.number().min(0.25).max(4).nullish(),
  instructions: z.string().nullish(),
  stream_format: z.enum(['audio', 'sse']).nullish(),
});

/** The default of OpenAI. */
const DEFAULT_FORMAT = 'mp3';

/**
 * Most audio that is buffered for a slow client, in bytes: half an hour of MP3. Up to this, a client that does not read
 * occupies memory but no ffmpeg process. Less where the tenant's responses hold much memory already.
 */
const MOST_WAITING_BYTES = { usual: 24 * 1024 * 1024, least: 64 * 1024 };

/** `POST /v1/audio/speech`: synthesizes a text, in the requested format, and sends it as it is made. */
export function speechRoutes(app: FastifyInstance, deps: GatewayDeps, models: Models): void {
  takeJson(app);
  const options = { bodyLimit: deps.limits.maxJsonBytes, config: { doc: SPEAK } };
  app.post('/v1/audio/speech', options, async (request, reply) => {
    const { caller, orderOf } = readHeaders(request);
    const { voice, ...checkedBody } = checked(body, request.body as Json, {});
    const model = models.get('speech', checkedBody.model, caller);
    const { face, form } = model;
    const format = checkedBody.response_format ?? DEFAULT_FORMAT;
    const named = typeof voice === 'object' ? voice?.id : voice;
    const parameters = {
      voice: voiceFor(model, named, 'voice'),
      speed: checkedBody.speed === 1 && !form.fields.has('speed') ? undefined : checkedBody.speed,
      instructions: checkedBody.instructions || undefined,
    };
    const input = inputFor(model, { [face.input]: checkedBody.input }, parameters, OPENAI_PARAMETERS.speech, 'input');
    await canGive(deps.encoder, format, 'response_format');
    const order = orderOf(model, input, [face.output]);
    forgetBody(request);
    const { given, document } = await spoken({ deps, request, reply }, order, model, format);
    if (checkedBody.stream_format !== 'sse') return await sendAudio(reply, given);
    const failed = (error: MillraceError) => [{ data: JSON.stringify(errorBody(error, request)) }];
    await sendAsEvents(reply, asEvents(given, document), failed);
    return reply;
  });
}

/**
 * Runs the pipeline. The audio begins with the first sentence where the pipeline's audio is made sentence by sentence,
 * and when the run has ended otherwise.
 */
async function spoken(exchange: Exchange, order: Order, model: Model, format: GivenFormat) {
  const { deps, reply } = exchange;
  let begin: (run: StartedRun) => void = () => undefined;
  const begun = new Promise<StartedRun>((resolve) => {
    begin = resolve;
  });
  const document = runToEnd({ ...exchange, started: async (run) => begin(run) }, order);
  const { output: field } = model.face;
  const ended = document.then((run) => audioOf(run, field));
  ended.catch(() => undefined);
  const run = await Promise.race([begun, ended.then(() => undefined)]);
  const { tenant } = order.caller;
  const of = { model, field, run, tenant, ended, format, signal: leaving(reply) };
  return { given: await givenAudio(deps, of), document };
}

/** Streams the audio. An error before the first chunk has a status of its own. */
async function sendAudio(reply: FastifyReply, { mime, bytes, chunks }: GivenAudio): Promise<FastifyReply> {
  const rest = chunks[Symbol.asyncIterator]();
  const first = await rest.next();
  const all = async function* () {
    try {
      for (let next = first; !next.done; next = await rest.next()) yield next.value;
    } finally {
      await rest.return?.();
    }
  };
  reply.type(mime);
  if (bytes === undefined) {
    const { usual, least } = MOST_WAITING_BYTES;
    const highWaterMark = (reply.request.response?.takeBuffer(usual) ?? true) ? usual : least;
    return await reply.send(Readable.from(all(), { objectMode: false, highWaterMark }));
  }
  reply.header('content-length', bytes);
  return await reply.send(Readable.from(all(), { objectMode: false }));
}

async function* asEvents({ chunks }: GivenAudio, document: Promise<RunDocument>): AsyncGenerator<ServerEvent> {
  for await (const chunk of chunks) {
    const audio = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('base64');
    yield { data: JSON.stringify({ type: 'speech.audio.delta', audio }) };
  }
  const usage = tokensBody(usageOf(await document) ?? { input: 0, output: 0 });
  yield { data: JSON.stringify({ type: 'speech.audio.done', usage }) };
}

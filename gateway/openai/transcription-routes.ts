import multipart from '@fastify/multipart';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { OPENAI_PARAMETERS } from '../../pipelines/definition/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import { audio } from '../../pipelines/media.js';
import type { RunDocument } from '../../runs/document.js';
import type { Caller } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import type { ServerEvent } from '../http/event-stream.js';
import { leaving } from '../http/leaving.js';
import { asMillraceError } from '../http/problem.js';
import { refuseEncoded } from '../input/content-encoding.js';
import { senderOf } from '../input/held-bodies.js';
import { inputForm } from '../input/input-form.js';
import { readInput } from '../input/read-input.js';
import { lackWords, segmentsIn, srt, verboseSegments, vtt } from './captions.js';
import { TRANSCRIBE } from './docs.js';
import { errorBody, invalidParam } from './error-body.js';
import { sendAsEvents } from './event-answer.js';
import { readHeaders, runStreamed, runToEnd, type StreamedRun, tokensBody, usageOf } from './model-run.js';
import { inputFor, type Model, type Models } from './models.js';

/** The parts of the form. Numbers and booleans are sent as text and parsed by the form. */
const parts = z.strictObject({
  file: audio(),
  model: z.string(),
  language: z.string().optional(),
  prompt: z.string().optional(),
  temperature: z.number().min(0).max(1).optional(),
  response_format: z.enum(['json', 'text', 'verbose_json', 'srt', 'vtt', 'diarized_json']).optional(),
  timestamp_granularities: z.array(z.enum(['segment', 'word'])).optional(),
  stream: z.boolean().optional(),
});
type Parts = z.output<typeof parts>;

type Format = NonNullable<Parts['response_format']>;

/** Fields of a pipeline's output that a format has beside the text, where the pipeline returns them. */
const MORE_FIELDS: Readonly<Record<Format, readonly string[]>> = {
  json: [],
  text: [],
  verbose_json: ['language', 'segments'],
  srt: ['segments'],
  vtt: ['segments'],
  diarized_json: [],
};

/** `POST /v1/audio/transcriptions`: a multipart file; responds with JSON, text or server-sent events. */
export function transcriptionRoutes(app: FastifyInstance, deps: GatewayDeps, models: Models): void {
  app.removeAllContentTypeParsers();
  app.register(multipart);
  const form = inputForm({ input: parts });
  app.post('/v1/audio/transcriptions', { config: { doc: TRANSCRIBE } }, async (request, reply) => {
    const { caller, orderOf } = readHeaders(request);
    refuseEncoded(request.headers);
    const gone = leaving(reply);
    const checkedBody = await readParts(request, gone, deps, form);
    const model = models.get('transcription', checkedBody.model, caller);
    const { face } = model;
    const { response_format: format = 'json', language, prompt, temperature } = checkedBody;
    refuseUnknown(format, model, checkedBody);
    if (checkedBody.stream && format !== 'json')
      throw invalidParam('response_format', 'must be "json" with "stream": true');
    const given = { [face.input]: checkedBody.file as unknown as JsonObject };
    const parameters = { language, prompt: prompt || undefined, temperature: temperature || undefined };
    const input = inputFor(model, given, parameters, OPENAI_PARAMETERS.transcription, 'file');
    const order = orderOf(model, input, [face.output, ...MORE_FIELDS[format]]);
    const seconds = format === 'verbose_json' ? await secondsOf(deps, caller, checkedBody, gone) : 0;
    const exchange = { deps, request, reply };
    if (checkedBody.stream) {
      const events = transcript(await runStreamed(exchange, order, model, true), model);
      await sendAsEvents(reply, events, (error) => [{ data: JSON.stringify(errorBody(error, request)) }]);
      return reply;
    }
    const document = await runToEnd(exchange, order);
    const text = textOf(document, model);
    switch (format) {
      case 'text':
        return await reply.type('text/plain; charset=utf-8').send(`${text}\n`);
      case 'srt':
        return await reply.type('text/plain; charset=utf-8').send(srt(segmentsIn(document.output?.segments)));
      case 'vtt':
        return await reply.type('text/vtt; charset=utf-8').send(vtt(segmentsIn(document.output?.segments)));
      case 'verbose_json':
        return verbose(document, model, checkedBody, { text, duration: seconds });
      default:
        return { text, ...usageBody(document) };
    }
  });
}

async function readParts(
  request: FastifyRequest,
  gone: AbortSignal,
  deps: GatewayDeps,
  form: ReturnType<typeof inputForm>,
): Promise<Parts> {
  const { input } = await readInput(request, form, senderOf(request, gone), deps.artifacts, deps.limits);
  return input as unknown as Parts;
}

/** Refuses a format for which the pipeline returns too little, before it runs. */
function refuseUnknown(format: Format, model: Model, given: Parts): void {
  const { outputs, pipeline } = model;
  const times = given.timestamp_granularities;
  if (times && format !== 'verbose_json')
    throw invalidParam('timestamp_granularities', 'requires the response_format "verbose_json"');
  if (format === 'diarized_json')
    throw invalidParam('response_format', `"${format}" is not supported; use json, text, verbose_json, srt or vtt`);
  if (format === 'verbose_json') refuseVerbose(model, given);
  const [param, wanted] = times ? ['timestamp_granularities', 'these times'] : ['response_format', `"${format}"`];
  if ((times || format === 'srt' || format === 'vtt') && !outputs.has('segments')) {
    const how = 'a transcribe stage with "segments" has them: return them as "segments"';
    throw invalidParam(param, `"${pipeline.name}" does not return the segments that ${wanted} need; ${how}`);
  }
}

/** `verbose_json` needs the language, from the pipeline or the request. */
function refuseVerbose({ outputs, form, pipeline: { name } }: Model, { language }: Parts): void {
  const known = outputs.has('language') || (language !== undefined && form.fields.has('language'));
  if (!known) throw invalidParam('response_format', `"${name}" does not return the language that verbose_json needs`);
}

/** The length of the file in seconds; that of a file that is no WAV is read by ffmpeg, before the run. */
async function secondsOf(
  { encoder }: GatewayDeps,
  { tenant }: Caller,
  { file }: Parts,
  signal: AbortSignal,
): Promise<number> {
  if (file.durationMs !== undefined) return file.durationMs / 1_000;
  const durationMs = await encoder.durationMs(tenant, file, signal).catch((error: unknown) => {
    const { code, message, details } = asMillraceError(error);
    const field = code === 'INVALID_MEDIA' ? 'file' : 'response_format';
    throw new MillraceError(code, message, { ...details, fields: [{ field, message }] }, { cause: error });
  });
  return durationMs / 1_000;
}

const textOf = ({ output }: RunDocument, { face }: Model): string => {
  const text = output?.[face.output];
  return typeof text === 'string' ? text : '';
};

/** Throws `CAPABILITY_MISSING` if the times of words are wanted and the pipeline returns none. */
function verbose(
  { output = {} }: RunDocument,
  { outputs, pipeline }: Model,
  { language, timestamp_granularities: times = [] }: Parts,
  heard: { readonly text: string; readonly duration: number },
) {
  const segments = outputs.has('segments') ? segmentsIn(output.segments) : undefined;
  if (segments && times.includes('word') && lackWords(segments)) throw noWords(pipeline.name);
  return {
    task: 'transcribe',
    language: outputs.has('language') ? output.language : language,
    ...heard,
    ...(segments && verboseSegments(segments)),
  };
}

function noWords(name: string): MillraceError {
  const message = `the segments of "${name}" have no words: a transcribe stage with "segments": "words" has them`;
  return new MillraceError('CAPABILITY_MISSING', message, { fields: [{ field: 'timestamp_granularities', message }] });
}

/** Token usage, if a model server reports it; most do not for speech. */
function usageBody(document: RunDocument) {
  const usage = usageOf(document);
  return usage ? { usage: { type: 'tokens', ...tokensBody(usage) } } : {};
}

async function* transcript({ pieces }: StreamedRun, model: Model): AsyncGenerator<ServerEvent> {
  const event = (body: { readonly type: string; readonly [key: string]: unknown }): ServerEvent => ({
    event: body.type,
    data: JSON.stringify(body),
  });
  for await (const piece of pieces) {
    if ('text' in piece) yield event({ type: 'transcript.text.delta', delta: piece.text });
    else if ('document' in piece) {
      const text = textOf(piece.document, model);
      yield event({ type: 'transcript.text.done', text, ...usageBody(piece.document) });
    }
  }
}

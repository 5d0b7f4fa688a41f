import { type ErrorCode, MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../../pipelines/json.js';
import type { CallContext, Reply, Usage } from '../connector.js';
import { chunksOf } from '../exchange.js';
import { valueAt } from '../json-values.js';
import { readSpeech, type Speech } from '../speech.js';
import { type DescribedCall, success, whole } from './answered.js';
import type { Api } from './api.js';
import { saidWithin } from './faults.js';
import { generatedBody, generatedFiles } from './generated-files.js';
import { readJob } from './job.js';
import { outputOf } from './outputs.js';
import { requestBy } from './send.js';
import { readStoredJob } from './stored-job.js';
import { streamed } from './streamed.js';
import { render, type Scope } from './template.js';

/** One call of a stage, by the description of its API. */
export async function invoke(described: DescribedCall): Promise<Reply> {
  const { api, call, scope, sender, store, context } = described;
  const { signal } = context;
  if (!api.request) throw new MillraceError('BACKEND_REJECTED', `the pool has no request of a ${call.kind} stage`);
  if (api.job) {
    const answered = await readJob(described, api.request, api.job);
    return ofJob(context, () => replyOf(answered, described));
  }
  if (api.objects && store) {
    const response = await readStoredJob({ ...described, objects: api.objects, store }, api.request);
    if (api.response.as === 'bytes') return ofJob(context, () => readReply(response, described));
    // What an output says of a failure it would say again.
    const answered = await ofJob(
      context,
      () => whole(api, response, signal),
      () => !signal.aborted,
    );
    return ofJob(context, () => replyOf(answered, described));
  }
  const sent = await requestBy(api.request, scope, sender);
  const response = await success(described, sent, signal);
  if (api.response.stream) {
    const { answered, counted } = await streamed(api, response, scope, context);
    return replyOf(answered, described, counted);
  }
  return readReply(response, described);
}

/**
 * A job whose answer does not fit is not kept: the next attempt would read the same answer.
 * @param ends whether the job is not kept after an error. Default: after `INVALID_OUTPUT`
 */
async function ofJob<T>(
  context: CallContext,
  read: () => Promise<T>,
  ends: (code: ErrorCode) => boolean = (code) => code === 'INVALID_OUTPUT',
): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof MillraceError && ends(error.code)) context.checkpoint(null);
    throw error;
  }
}

/** What an answer that is there as a whole makes of the stage. */
async function readReply(response: Response, described: DescribedCall): Promise<Reply> {
  const { api, call, context } = described;
  if (api.response.as === 'bytes') {
    return call.kind === 'generate' ? generatedBody(response, described) : spoken(response, described);
  }
  return replyOf(await whole(api, response, context.signal), described);
}

/**
 * The stage's output of what the server has answered. An answer that does not fit may say why.
 * @param counted where the token counts are
 */
async function replyOf(answered: Scope, described: DescribedCall, counted = answered): Promise<Reply> {
  try {
    return await outputIn(answered, described, counted);
  } catch (error) {
    const said = saidWithin(described.api, answered);
    if (!(error instanceof MillraceError) || error.code !== 'INVALID_OUTPUT' || said === '') throw error;
    throw new MillraceError(error.code, `${error.message}; the server says: ${said}`, error.details, { cause: error });
  }
}

async function outputIn(answered: Scope, described: DescribedCall, counted: Scope): Promise<Reply> {
  const { api, call, scope } = described;
  const made = render(api.response.output ?? '$/body', {
    scope: { ...scope, ...answered },
    wrong: wrongOutput,
    spent: { made: 0 },
  });
  if (call.kind === 'generate') return generatedFiles(made, described);
  if (call.kind === 'synthesize') return written(await speechIn(made), described);
  const usage = usageOf(api, counted);
  return { output: outputOf(made, call, api), ...(usage && { usage }) };
}

const wrongOutput = (pointer: string, problem: string): MillraceError =>
  new MillraceError('INVALID_OUTPUT', `the answer does not fit the pool’s template: ${pointer} ${problem}`);

function usageOf({ response: { usage } }: Api, answered: Scope): Usage | undefined {
  if (!usage) return undefined;
  const counts = Object.entries(usage).flatMap(([name, pointer]) => {
    const value = pointer === undefined ? undefined : valueAt(answered as JsonObject, pointer);
    return typeof value === 'number' && value >= 0 ? [[name, value] as const] : [];
  });
  return Object.fromEntries(counts);
}

/** Speech as the body of an answer. */
async function spoken(response: Response, described: DescribedCall): Promise<Reply> {
  const { call, context } = described;
  if (call.kind !== 'synthesize') throw new MillraceError('INVALID_OUTPUT', 'bytes are audio of a synthesize stage');
  const bounded = new Response(ReadableStream.from(chunksOf(response, context.signal)), { headers: response.headers });
  return written(await readSpeech(bounded, context.emit), described);
}

/** Speech in JSON: `{ "audio": "<base64 of WAV>" }`, or of PCM with its `sampleRate`. */
function speechIn(made: Json | undefined): Promise<Speech> {
  const { audio, sampleRate } = isJsonObject(made) ? made : ({} as JsonObject);
  if (typeof audio !== 'string' || audio === '') {
    throw new MillraceError('INVALID_OUTPUT', 'the output has no audio in base64');
  }
  const type = typeof sampleRate === 'number' ? `audio/pcm; rate=${sampleRate}` : 'audio/wav';
  return readSpeech(new Response(Buffer.from(audio, 'base64'), { headers: { 'content-type': type } }), () => undefined);
}

async function written({ samples, sampleRate }: Speech, { context }: DescribedCall): Promise<Reply> {
  const artifact = await context.audio.write(samples, { sampleRate });
  return { output: { audio: { ...artifact } as JsonObject }, usage: { audioSeconds: samples.length / sampleRate } };
}

import type { OpenAI } from 'openai';
import pMap from 'p-map';
import type { GivenFormat } from '../../media/index.js';
import { type Artifact, isArtifact } from '../../pipelines/artifact.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { RunDocument } from '../../runs/document.js';
import { readPaced } from '../../runs/paced-runs.js';
import { readRecorded } from '../../runs/recorded.js';
import { type Caller, requirePermission } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import type { ServerEvent } from '../http/event-stream.js';
import type { HeldResponse } from '../http/response-memory.js';
import { chargeReads } from './charged-reads.js';
import { type Answer, answerOf, type Chunk, type ChunkWriter, type Delta } from './chat-reply.js';
import type { Conversation, Turn } from './conversation.js';
import { invalidParam } from './error-body.js';
import { audioOf, canGive, givenAudio, voiceFor } from './given-audio.js';
import { merged } from './merged.js';
import type { Piece, StreamedRun } from './model-run.js';
import type { Model, Models } from './models.js';

/** The answer is wanted as audio too: `modalities: ["text", "audio"]`. */
export interface SpokenWish {
  readonly format: GivenFormat;
  readonly voice?: string;
}

/** The audio of an answer. */
export interface SpokenAnswer {
  /** The field of the output. */
  readonly field: string;
  readonly format: GivenFormat;
  /** Fields of the input. */
  readonly input: JsonObject;
}

/** Checks that a model can speak as is wished. Throws `INVALID_INPUT`, and `CONVERSION_UNAVAILABLE`. */
export async function spokenAnswer({ encoder }: GatewayDeps, model: Model, wish: SpokenWish): Promise<SpokenAnswer> {
  const { spoken: field, form, pipeline } = model;
  if (field === undefined)
    throw invalidParam('modalities', `"${pipeline.name}" has no audio: its output has no field "audio" or "speech"`);
  await canGive(encoder, wish.format, 'audio.format');
  const voice = voiceFor(model, wish.voice, 'audio.voice');
  const takesVoice = form.fields.has('voice') && voice !== undefined;
  return { field, format: wish.format, input: takesVoice ? { voice } : {} };
}

const PREFIX = 'audio_';

/** How long an answer can be referred to by its id at least, in seconds: as long as its run is kept, which is not less. */
const KEPT_S = 3_600;
const expiresAt = (): number => Math.floor(Date.now() / 1_000) + KEPT_S;

/** Most bytes of audio within one response. */
const MOST_BYTES = 24 * 1024 * 1024;

/** Whether there is nothing to hear yet: the client is to execute calls first. */
const isUnspoken = ({ output }: RunDocument, { field }: SpokenAnswer, { toolCalls }: Answer): boolean =>
  toolCalls.length > 0 && !isArtifact(output?.[field]);

/** The audio of a run that has ended, in a message; undefined for calls without audio. Throws `BODY_TOO_LARGE`. */
export async function audioMessage(
  { encoder }: GatewayDeps,
  { document, spoken, answer, tenant, signal, response }: Ended,
): Promise<OpenAI.ChatCompletionAudio | undefined> {
  if (isUnspoken(document, spoken, answer)) return undefined;
  const { chunks } = await encoder.encode(tenant, audioOf(document, spoken.field), spoken.format, signal);
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) {
      const message = `the audio has more than ${MOST_BYTES} bytes: request it with "stream": true, or in another format`;
      throw new MillraceError('BODY_TOO_LARGE', message, { fields: [{ field: 'audio.format', message }] });
    }
    response?.take(chunk.length);
    parts.push(chunk);
  }
  const data = Buffer.concat(parts).toString('base64');
  return { id: `${PREFIX}${document.id}`, data, expires_at: expiresAt(), transcript: answer.text };
}

interface Ended {
  readonly document: RunDocument;
  readonly spoken: SpokenAnswer;
  readonly answer: Answer;
  readonly tenant: string;
  readonly signal: AbortSignal;
  /** Counts what the response holds. */
  readonly response?: HeldResponse | undefined;
}

/**
 * The chunks of an answer that is streamed as text and audio: the text as transcript, with what else is told of the
 * run, the audio of each sentence as soon as it is spoken, its end and the end of the answer.
 */
export async function* spokenChunks(
  deps: GatewayDeps,
  { run, pieces }: StreamedRun,
  { model, spoken, writer, tenant, signal }: Streamed,
): AsyncGenerator<ServerEvent> {
  let end: (audio: Artifact) => void = () => undefined;
  let fail: (error: unknown) => void = () => undefined;
  const ended = new Promise<Artifact>((resolve, reject) => {
    end = resolve;
    fail = reject;
  });
  ended.catch(() => undefined);
  let answer: Answer | undefined;
  let unspoken = false;
  async function* said(all: AsyncGenerator<Piece>): AsyncGenerator<Chunk> {
    try {
      for await (const piece of all) {
        if ('document' in piece) {
          const { document } = piece;
          answer = answerOf(document, model);
          unspoken = isUnspoken(document, spoken, answer);
          if (unspoken) fail(new Error('the run returned calls in place of audio'));
          else end(audioOf(document, spoken.field));
        } else yield* writer.told(piece);
      }
    } catch (error) {
      fail(error);
      throw error;
    } finally {
      fail(new MillraceError('REQUEST_ABORTED', 'the client disconnected before the run had ended'));
    }
  }
  async function* heard(): AsyncGenerator<Chunk> {
    const { field, format } = spoken;
    try {
      const { chunks } = await givenAudio(deps, { model, field, run, tenant, ended, format, signal });
      for await (const part of inThrees(chunks)) {
        yield writer.audio({ data: Buffer.from(part).toString('base64') });
      }
    } catch (error) {
      if (!unspoken) throw error;
    }
  }
  let named = false;
  const event = (chunk: Chunk): ServerEvent => {
    const data = JSON.stringify(named ? chunk : withAudioId(chunk, `${PREFIX}${run.id}`));
    named = true;
    return { data };
  };
  for await (const chunk of merged(said(pieces), heard())) yield event(chunk);
  if (unspoken) named = true;
  else yield event(writer.audio({ expires_at: expiresAt() }));
  if (answer) for (const chunk of [...writer.end(answer), ...writer.usage([answer])]) yield event(chunk);
  yield { data: '[DONE]' };
}

/** The id comes with the first chunk and not ahead of it: an error until then has a status of its own. */
const withAudioId = (chunk: Chunk, id: string): Chunk => ({
  ...chunk,
  choices: chunk.choices.map((choice) => {
    const delta: Delta = choice.delta;
    return { ...choice, delta: { ...delta, audio: { id, ...delta.audio } } };
  }),
});

interface Streamed {
  readonly model: Model;
  readonly spoken: SpokenAnswer;
  readonly writer: ChunkWriter;
  readonly tenant: string;
  readonly signal: AbortSignal;
}

/** Bytes in parts of which each has whole groups of base64 and whole samples: clients join the texts of the parts. */
async function* inThrees(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let held: Uint8Array = new Uint8Array();
  for await (const chunk of chunks) {
    const all = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    const whole = all.length - (all.length % 6);
    held = all.slice(whole);
    if (whole > 0) yield all.subarray(0, whole);
  }
  if (held.length > 0) yield held;
}

/** Most earlier audio answers that one request refers to, and how many are read at once: each takes calls to Temporal. */
const MOST_SPOKEN = 64;
const AT_ONCE = 8;

/**
 * The conversation with the texts of earlier audio answers, which clients refer to by id. Throws `INVALID_INPUT`, `RATE_LIMITED`
 * while too many large runs are read, and `REQUEST_ABORTED` when the client leaves.
 */
export async function withSpokenTurns(
  deps: GatewayDeps,
  models: Models,
  { caller, signal }: { readonly caller: Caller; readonly signal: AbortSignal },
  conversation: Conversation,
): Promise<Conversation> {
  // By id, where it is referred to first.
  const params = new Map<string, string>();
  for (const { spoken, param } of conversation.turns) {
    if (spoken === undefined || params.has(spoken)) continue;
    params.set(spoken, `${param}.audio.id`);
    if (params.size > MOST_SPOKEN)
      throw invalidParam(
        `${param}.audio.id`,
        `is one of more than ${MOST_SPOKEN} audio answers; send older ones as text`,
      );
  }
  if (params.size === 0) return conversation;
  requirePermission(caller, 'read');
  await chargeReads(deps, caller, params.size);
  const read = async ([id, param]: [string, string]) => {
    if (signal.aborted)
      throw new MillraceError('REQUEST_ABORTED', 'the client disconnected before its conversation was read');
    return [id, await textSpoken(deps, models, caller, param, id)] as const;
  };
  const texts = new Map(await pMap(params, read, { concurrency: AT_ONCE }));
  const turns = conversation.turns.map((turn): Turn => {
    const { spoken, message } = turn;
    return spoken === undefined ? turn : { ...turn, message: { ...message, content: texts.get(spoken) ?? '' } };
  });
  return { ...conversation, turns };
}

async function textSpoken(deps: GatewayDeps, models: Models, caller: Caller, param: string, id: string) {
  const known = id.startsWith(PREFIX)
    ? await readPaced(deps, id.slice(PREFIX.length), caller)
        .then((found) => readRecorded(deps, found, caller))
        .catch((error: unknown) => {
          if (error instanceof MillraceError && error.code === 'RUN_NOT_FOUND') return undefined;
          throw error;
        })
    : undefined;
  const model = known && models.find('chat', known.document.pipeline, caller);
  const text = model && known.output?.[model.face.output];
  if (typeof text === 'string') return text;
  throw invalidParam(param, `"${id}" is no audio answer of this gateway`);
}

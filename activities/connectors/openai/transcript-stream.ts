import type { OpenAI } from 'openai';
import { APIError } from 'openai/core/error';
import { MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject } from '../../../pipelines/json.js';
import { bodyOf } from '../exchange.js';
import { BROKEN_OFF } from '../finish-reasons.js';
import { parseJson } from '../json-values.js';
import { chunksIn, ONE_CALL, unreadable } from './completion.js';

/** Text of one part of a recording, in characters: ten minutes of speech have a tenth of it. */
const LONGEST_TEXT = 100_000;

/** A transcript as a server sent it: not checked yet. */
export interface StreamedTranscript {
  readonly text?: unknown;
  readonly segments?: unknown;
  readonly words?: unknown;
}

/** Called with the text so far, and with each segment and its number. */
interface OnMore {
  text(text: string): void;
  segment(segment: unknown, number: number): void;
}

/**
 * `POST /v1/audio/transcriptions` with `stream`. Read are OpenAI's events (`transcript.text.delta`, `.segment`, `.done`), the chunks of
 * vLLM (`transcription.chunk`), and one body of JSON, of servers that do not stream.
 */
export async function streamed(
  client: OpenAI,
  body: object,
  signal: AbortSignal,
  onMore: OnMore,
): Promise<StreamedTranscript> {
  const params = { ...body, stream: true } as unknown as OpenAI.Audio.TranscriptionCreateParamsStreaming;
  const response = await client.audio.transcriptions.create(params, { signal, headers: ONE_CALL }).asResponse();
  const type = response.headers.get('content-type') ?? '';
  if (type.includes('json')) return whole(parseJson(await bodyOf(response, signal), unreadable), response.headers);
  const collected = new Collected(onMore);
  for await (const event of chunksIn(response, signal, () => collected.done())) collected.add(event);
  // An abort ends the loop without an error; the partial text is not an answer.
  signal.throwIfAborted();
  return collected.transcript(type);
}

function whole(body: unknown, headers: Headers): StreamedTranscript {
  const { error, ...transcript } = (isJsonObject(body) ? body : {}) as StreamedTranscript & {
    readonly error?: unknown;
  };
  if (error) throw new APIError(undefined, Object(error), undefined, headers);
  return transcript;
}

interface Chunk {
  readonly delta?: { readonly content?: unknown } | null;
  readonly finish_reason?: unknown;
}

/** Assembles a transcript from its events. */
class Collected {
  readonly #onMore: OnMore;
  readonly #segments: unknown[] = [];
  #text = '';
  #events = 0;
  #ended = false;
  /** The part of the audio that was transcribed last is whole. */
  #partEnded = false;

  constructor(onMore: OnMore) {
    this.#onMore = onMore;
  }

  add(event: unknown): void {
    this.#events += 1;
    const { type, delta, text, choices } = Object(event) as Record<string, unknown>;
    if (type === 'transcript.text.delta') this.#says(delta);
    else if (type === 'transcript.text.segment') {
      this.#onMore.segment(event, this.#segments.length);
      this.#segments.push(event);
    } else if (type === 'transcript.text.done') {
      if (typeof text === 'string') this.#text = text;
      this.#ended = true;
    } else if (Array.isArray(choices)) {
      for (const choice of choices as readonly (Chunk | null)[]) {
        this.#says(choice?.delta?.content);
        const reason = choice?.finish_reason;
        if (typeof reason === 'string' && BROKEN_OFF.includes(reason)) {
          const message = `the server aborted the transcript (finish_reason ${reason})`;
          throw new MillraceError('BACKEND_UNAVAILABLE', message);
        }
        this.#partEnded = Boolean(reason);
      }
    }
  }

  /** The server has sent all. vLLM gives a reason at the end of each part of the audio, so only this tells the last part. */
  done(): void {
    this.#ended ||= this.#partEnded;
  }

  transcript(type: string): StreamedTranscript {
    if (this.#ended) return { text: this.#text, segments: this.#segments };
    if (this.#events === 0 && !type.includes('event-stream')) {
      throw new MillraceError('INVALID_OUTPUT', `the answer is ${type || 'of no type'}, neither events nor JSON`);
    }
    throw new MillraceError('BACKEND_UNAVAILABLE', `the stream broke off after ${this.#text.length} characters`);
  }

  #says(more: unknown): void {
    if (typeof more !== 'string' || more === '') return;
    this.#text += more;
    if (this.#text.length > LONGEST_TEXT) throw unreadable(`text is longer than ${LONGEST_TEXT} characters`);
    this.#onMore.text(this.#text);
  }
}

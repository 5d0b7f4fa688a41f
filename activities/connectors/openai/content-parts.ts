import type { OpenAI } from 'openai';
import { extensionOf } from '../../../media/index.js';
import type { Artifact } from '../../../pipelines/artifact.js';
import { MillraceError } from '../../../pipelines/errors.js';
import { invalidField } from '../../../pipelines/invalid-fields.js';
import type { ContentPart } from '../../../pipelines/stages/index.js';
import type { CallContext } from '../connector.js';
import { wavFile } from './wav-file.js';

/** A part with its field of the stage's input, for errors. */
export interface Located {
  readonly part: ContentPart;
  readonly field: string;
}

/** OpenAI's content parts, and the `video_url` of vLLM and SGLang, which OpenAI's API lacks. */
export type OpenAiPart =
  | OpenAI.ChatCompletionContentPart
  | { readonly type: 'video_url'; readonly video_url: { readonly url: string } };

export type MediaContext = Pick<CallContext, 'bytes' | 'signal'> & Partial<Pick<CallContext, 'audio'>>;

const MEBIBYTE = 1024 * 1024;
/** OpenAI's and vLLM's documented limit per image, and what the host reads of a file at once; base64 adds a third. */
export const MOST_FILE_BYTES = 20 * MEBIBYTE;
/** All media of a call, repeats included: OpenAI accepts requests of 50 MB, and a worker holds several at once. */
const MOST_BYTES = 50 * MEBIBYTE;
/** More than any model accepts in one conversation; prevents reading a long list of small files one by one. */
export const MOST_MEDIA = 100;

interface Medium {
  readonly field: string;
  readonly artifact: Artifact;
  readonly part: Exclude<ContentPart, { type: 'text' }>;
}

/**
 * Parts with their media by value: a server cannot reach the artifact store. Files are read one after the other, a
 * repeated one once. Sizes stated in the input are checked before anything is read, actual sizes afterwards. Throws
 * `INVALID_INPUT` naming the field.
 */
export async function openAiParts(all: readonly Located[], context: MediaContext): Promise<OpenAiPart[]> {
  const media = all.flatMap(({ part, field }): Medium[] =>
    part.type === 'text' ? [] : [{ part, field, artifact: artifactOf(part) }],
  );
  expectFew(media);
  const known = new Map<string, Sent>();
  let sum = 0;
  const parts: OpenAiPart[] = [];
  let at = 0;
  for (const { part } of all) {
    if (part.type === 'text') {
      parts.push({ type: 'text', text: part.text });
      continue;
    }
    const medium = media[at++] as Medium;
    const id = `${part.type} ${medium.artifact.uri}`;
    const sent = known.get(id) ?? (await sentOf(medium, context));
    context.signal.throwIfAborted();
    known.set(id, sent);
    sum += sent.bytes;
    if (sum > MOST_BYTES) throw tooMuch(medium.field, media, sum);
    parts.push(partOf(part, sent));
  }
  return parts;
}

const artifactOf = (part: Medium['part']): Artifact => {
  switch (part.type) {
    case 'image':
      return part.image;
    case 'audio':
      return part.audio;
    case 'video':
      return part.video;
    case 'file':
      return part.file;
  }
};

function expectFew(media: readonly Medium[]): void {
  const [first] = media;
  if (first === undefined) return;
  if (media.length > MOST_MEDIA) {
    throw invalidField(first.field, `${media.length} ${namesOf(media)}; at most ${MOST_MEDIA} go into one call`);
  }
  const large = media.find(({ artifact }) => artifact.bytes > MOST_FILE_BYTES);
  if (large) {
    const { part, field, artifact } = large;
    throw invalidField(field, `${part.type} of ${artifact.bytes} bytes; model servers take ${MOST_FILE_BYTES} at most`);
  }
  const sum = media.reduce((total, { artifact }) => total + artifact.bytes, 0);
  if (sum > MOST_BYTES) throw tooMuch(first.field, media, sum);
}

const tooMuch = (field: string, media: readonly Medium[], bytes: number): MillraceError =>
  invalidField(field, `${namesOf(media)} of ${bytes} bytes in all; at most ${MOST_BYTES} go into one call`);

const namesOf = (media: readonly Medium[]): string =>
  media.every(({ part }) => part.type === 'image') ? 'images' : 'media';

/** A file as it is sent, in base64. */
interface Sent {
  readonly data: string;
  readonly mime: string;
  readonly bytes: number;
}

async function sentOf({ part, artifact, field }: Medium, context: MediaContext): Promise<Sent> {
  const { bytes: read, audio, signal } = context;
  if (part.type === 'audio' && AUDIO_FORMATS[artifact.mime] === undefined) {
    if (!audio) throw new MillraceError('INTERNAL', 'this host cannot read audio');
    const wav = await wavFile(audio, artifact, MOST_FILE_BYTES, signal);
    if (wav === undefined) throw invalidField(field, `audio of more than ${MOST_FILE_BYTES} bytes as WAV`);
    return { data: wav.toString('base64'), mime: 'audio/wav', bytes: wav.length };
  }
  if (!read) throw new MillraceError('INTERNAL', 'this host cannot read images');
  const bytes = await read(artifact);
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
  return { data, mime: artifact.mime, bytes: bytes.length };
}

/** Formats of audio that OpenAI's API takes; other audio is converted to WAV. */
const AUDIO_FORMATS: Readonly<Record<string, 'wav' | 'mp3'>> = { 'audio/wav': 'wav', 'audio/mpeg': 'mp3' };

function partOf(part: Medium['part'], { data, mime }: Sent): OpenAiPart {
  const url = `data:${mime};base64,${data}`;
  switch (part.type) {
    case 'image':
      return { type: 'image_url', image_url: { url, ...(part.detail && { detail: part.detail }) } };
    case 'audio':
      return { type: 'input_audio', input_audio: { data, format: AUDIO_FORMATS[mime] ?? 'wav' } };
    case 'video':
      return { type: 'video_url', video_url: { url: url.replace(/^data:audio\//, 'data:video/') } };
    case 'file':
      return { type: 'file', file: { filename: part.name ?? `file${extensionOf(mime)}`, file_data: url } };
  }
}

import { z } from 'zod';
import { isJsonObject, type JsonObject } from '../../pipelines/json.js';
import type { MediaKind } from '../../pipelines/media.js';
import type { ChatMessage, ContentPart } from '../../pipelines/stages/index.js';
import { isOnTheNetwork } from '../input/fetched-media.js';
import { invalidParam } from './error-body.js';

/** A part of a message as a client sends it. */
export type SentPart =
  | { readonly type: 'text'; readonly text: string }
  | {
      readonly type: 'image' | 'audio' | 'video' | 'file';
      /** A data URL in base64, the address of an artifact of the caller's tenant, or one on the network. */
      readonly url: string;
      readonly detail?: string | undefined;
      readonly name?: string | undefined;
    };

export const imageDetail = z.enum(['auto', 'low', 'high', 'original']);

/** The detail of an image. `auto` says nothing: it is the default. `original` is more than a stage can ask for: it is `high`. */
export const detailOf = (detail: z.output<typeof imageDetail> | null | undefined): { readonly detail?: string } =>
  detail && detail !== 'auto' ? { detail: detail === 'original' ? 'high' : detail } : {};

/** The kind of media of a type, by which a file becomes a part of a conversation. */
export function kindOf(mediaType: string): MediaKind {
  const [first] = mediaType.split('/', 1);
  return first === 'image' || first === 'audio' || first === 'video' ? first : 'file';
}

type Content = Pick<ChatMessage, 'content' | 'parts'>;

/**
 * A message's text up to its first medium, then its parts; of a message without media the whole text. Media are in the
 * forms of a JSON input, for `MediaIntake`. Throws `INVALID_INPUT` for other addresses.
 */
export function contentOf(sent: readonly SentPart[], param: string): Content {
  const first = sent.findIndex(({ type }) => type !== 'text');
  const leading = first < 0 ? sent : sent.slice(0, first);
  const content = leading.map((part) => ('text' in part ? part.text : '')).join('');
  if (first < 0) return { content };
  const parts = sent.slice(first).map((part): JsonObject => {
    if (part.type === 'text') return { type: 'text', text: part.text };
    const { type, url, detail, name } = part;
    return { type, [type]: mediaOf(url, type, param), ...optional({ detail, name }) };
  });
  return { content, parts: parts as unknown as ContentPart[] };
}

const optional = (fields: Readonly<Record<string, string | undefined>>): JsonObject =>
  Object.fromEntries(Object.entries(fields).filter((field): field is [string, string] => field[1] !== undefined));

/** Browsers write the parameters of a recording’s type as they are: `video/webm;codecs=vp8,opus`. */
const DATA_URL = /^data:([\w.+-]+\/[\w.+-]+)(?:;[\w.+-]+=[^;]*)*;base64,/i;

function mediaOf(url: string, type: Exclude<SentPart['type'], 'text'>, param: string): JsonObject {
  if (url.startsWith('artifact://') || isOnTheNetwork(url)) return { uri: url };
  // Only the beginning is matched: the rest may be megabytes.
  const [prefix, mime] = DATA_URL.exec(url.slice(0, LONGEST_PREFIX)) ?? [];
  if (prefix !== undefined && mime !== undefined) return { base64: url.slice(prefix.length), mime };
  const article = type === 'image' || type === 'audio' ? 'an' : 'a';
  throw invalidParam(
    param,
    `${article} ${type} must be a data URL in base64, or an address of artifact:, https: or http:`,
  );
}
const LONGEST_PREFIX = 500;

/** The addresses of a message's media that are on the network. */
export const addressesOf = ({ parts = [] }: Content): string[] =>
  (parts as unknown as JsonObject[]).flatMap((part) => {
    const medium = part[String(part.type)];
    const uri = isJsonObject(medium) ? medium.uri : undefined;
    return typeof uri === 'string' && isOnTheNetwork(uri) ? [uri] : [];
  });

/** All texts of a message: for a pipeline that takes text alone beside its images. */
export const wholeText = ({ content, parts = [] }: Content): string =>
  [content, ...parts.map((part) => (part.type === 'text' ? part.text : ''))].join('');

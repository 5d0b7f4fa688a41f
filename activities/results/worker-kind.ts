import type { Artifact } from '../../pipelines/artifact.js';
import type { Json } from '../../pipelines/json.js';
import type { WorkerKind } from '../stage/worker-kind.js';
import { piece, type ResultTexts, stored } from './fit.js';

/** Length of a part that is read where the call does not state one. */
const CHARACTERS = 8_000;
/** Characters before and after a place where a text was found. */
const AROUND = 200;

/**
 * Stage kind for long results of an agent's tools: stores them, and reads a part of one.
 * @param textsOf artifacts of a tenant; another tenant's artifact is `ARTIFACT_NOT_FOUND`
 */
export const resultKind =
  (textsOf: (tenant: string, signal: AbortSignal) => ResultTexts): WorkerKind =>
  async ({ input, tenant }, { signal }) => {
    const { put, read, from = 0, find, characters = CHARACTERS } = input as Question;
    const texts = textsOf(tenant, signal);
    if (put) return { stored: (await Promise.all(put.map((text) => stored(texts, text, 0)))) as unknown as Json[] };
    if (!read) return {};
    const text = Buffer.from(await texts.read(read)).toString();
    return {
      text: find === undefined || find === '' ? part(text, from, characters) : found(text, find, from, characters),
    };
  };

interface Question {
  readonly put?: readonly string[];
  readonly read?: Artifact;
  readonly from?: number;
  readonly find?: string;
  readonly characters?: number;
}

function part(text: string, from: number, characters: number): string {
  if (from >= text.length) return `[The result has only ${text.length} characters.]`;
  const to = Math.min(text.length, from + characters);
  const next = to < text.length ? ` Read on from ${to}.` : ' This is the end.';
  return `${piece(text, from, to)}\n[Characters ${from} to ${to} of ${text.length}.${next}]`;
}

/** A text in lower case, in which each place is the same: `İ` is the one letter whose lower case has another length. */
const lower = (text: string): string => text.replaceAll('İ', 'i').toLowerCase();

/** The places at which a text occurs, upper and lower case alike, each with what is around it. */
function found(text: string, wanted: string, from: number, characters: number): string {
  const within = lower(text);
  // Others write the lower case of `İ` with a dot of its own.
  const what = within.includes(lower(wanted)) ? lower(wanted) : lower(wanted).replaceAll('i\u0307', 'i');
  const parts: string[] = [];
  let length = 0;
  let end = from;
  for (let at = within.indexOf(what, from); at >= 0; at = within.indexOf(what, end)) {
    const start = Math.max(end, at - AROUND);
    end = Math.min(text.length, at + what.length + AROUND);
    const shown = `[at ${at}] ${piece(text, start, end)}`;
    if (length + shown.length > characters && parts.length > 0) {
      parts.push(`[There is more; look again from ${at}.]`);
      return parts.join('\n');
    }
    parts.push(shown.slice(0, characters));
    length += shown.length;
  }
  return parts.length > 0
    ? parts.join('\n')
    : `[The result does not contain "${wanted.slice(0, AROUND)}" from ${from} on.]`;
}

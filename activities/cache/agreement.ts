import { isDeepStrictEqual } from 'node:util';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import type { CacheAgreement } from '../../pipelines/plan/index.js';

export interface Means {
  /** The cosine of the embeddings of two texts. */
  readonly similarityOf: (a: string, b: string) => Promise<number>;
  /** What a model says of a fresh and a cached answer; undefined if it says nothing. */
  readonly judge: (model: string, fresh: string, cached: string) => Promise<boolean | undefined>;
}

/** Whether a fresh answer says the same as a cached one, by the author's rule; undefined if that is not known. */
export async function agrees(
  fresh: JsonObject,
  cached: JsonObject,
  rule: CacheAgreement = { by: 'text' },
  { similarityOf, judge }: Means,
): Promise<boolean | undefined> {
  if (rule.by === 'fields') {
    // Of two answers that have none of the fields nothing is known.
    const named = rule.fields.some((field) => fresh[field] !== undefined);
    return named && rule.fields.every((field) => isDeepStrictEqual(fresh[field], cached[field]));
  }
  if (!isDeepStrictEqual(callsOf(fresh), callsOf(cached))) return false;
  const [a, b] = [textOf(fresh), textOf(cached)];
  const [said, other] = [saidIn(a), saidIn(b)];
  // Answers of marks alone, such as `:)` and `:(`, say what their marks say.
  if (said === other && (said !== '' || a.trim() === b.trim())) return true;
  if (rule.by === 'text') return false;
  if (rule.by === 'model') return judge(rule.model, a, b);
  return numbersOf(a) === numbersOf(b) && (await similarityOf(a, b)) >= rule.atLeast;
}

const textOf = (output: JsonObject): string => (typeof output.text === 'string' ? output.text : JSON.stringify(output));

/** The calls of tools that a reply asks for, without their ids. */
const callsOf = ({ toolCalls = [] }: JsonObject): Json[] =>
  (Array.isArray(toolCalls) ? toolCalls : []).map((call: Json) => {
    const { id: _, ...rest } = isJsonObject(call) ? call : {};
    return rest;
  });

/** Numbers with the marks in and before them, words, and every other sign alone. */
const PIECES = /(?:(?<![\p{L}\p{N}])[.,])?\p{N}+(?:[.,:/-]\p{N}+)*|[\p{L}\p{M}]+|[^\s\p{L}\p{N}\p{M}]/gu;
/** Marks of a sentence. */
const PUNCTUATION = new Set([...`.,;:?!'"«»„“”‘’…–—―。，、！？：；「」（）·•`]);
/** Marks of Markdown and brackets, which mean something in a formula only. All other signs say something: `$`, `%`, `+`, `<`. */
const LAYOUT = new Set([...'()[]{}*_`~-#|>']);
const FORMULA = /[\p{N})\]}]\s?[+*/^=×÷<>]|[+/^=×÷<>]\s?[\p{N}([{]/u;
/** Of a unit behind its number the capitals count: `5 Mb` is not `5 MB`. */
const LONGEST_UNIT = 3;

/** What a text says: without marks, spaces and capitals where they say nothing. */
function saidIn(text: string): string {
  const plain = withMinus(text.normalize('NFC'));
  const layout = FORMULA.test(plain) ? new Set<string>() : LAYOUT;
  const said: string[] = [];
  let counted = false;
  for (const { 0: piece, index } of plain.matchAll(PIECES)) {
    const sides = [plain.charAt(index - 1), plain.charAt(index + piece.length)] as const;
    const mere = (PUNCTUATION.has(piece) || layout.has(piece)) && !isSign(piece, ...sides);
    if (!mere) said.push(counted && piece.length <= LONGEST_UNIT ? piece : piece.toLowerCase());
    counted = /^[.,]?\p{N}/u.test(piece);
  }
  return said.join(' ');
}

/** Whether a mark changes what stands beside it: `-5`, `A-`, `5!`, `C#`. */
function isSign(mark: string, before: string, after: string): boolean {
  const ends = /[\p{L}\p{N}]/u.test(before) && !/[\p{L}\p{N}]/u.test(after);
  if (mark === '-') return ends || (/[\p{N}.]/u.test(after) && !/[\p{L}\p{N}]/u.test(before));
  if (mark === '!') return /\p{N}/u.test(before);
  return mark === '#' && ends;
}

/** With one sign for minus. */
const withMinus = (text: string): string =>
  text.replace(/[\u2010\u2011\u2212]/g, '-').replace(/(?<=^|[\s(])\u2013(?=\p{N})/gu, '-');

const numbersOf = (text: string): string =>
  (withMinus(text).match(/(?:(?<![\p{L}\p{N}])-?[.,]?)?\p{N}+(?:[.,]\p{N}+)*/gu) ?? []).join(' ');

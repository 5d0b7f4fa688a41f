import { isDeepStrictEqual } from 'node:util';
import type { JsonObject } from '../../pipelines/json.js';
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
  if (rule.by === 'fields') return rule.fields.every((field) => isDeepStrictEqual(fresh[field], cached[field]));
  const [a, b] = [textOf(fresh), textOf(cached)];
  if (plain(a) === plain(b)) return true;
  if (rule.by === 'text') return false;
  if (rule.by === 'model') return judge(rule.model, a, b);
  return numbersOf(a) === numbersOf(b) && (await similarityOf(a, b)) >= rule.atLeast;
}

const textOf = (output: JsonObject): string => (typeof output.text === 'string' ? output.text : JSON.stringify(output));
const plain = (text: string): string =>
  text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();
const numbersOf = (text: string): string => (text.match(/\p{N}+(?:[.,]\p{N}+)*/gu) ?? []).join(' ');

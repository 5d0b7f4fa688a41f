import { isDeepStrictEqual } from 'node:util';
import type { JsonObject } from '../../pipelines/json.js';
import type { CacheAgreement } from '../../pipelines/plan/index.js';

/** The cosine of the embeddings of two texts. */
type SimilarityOf = (a: string, b: string) => Promise<number>;

/** Whether a fresh answer says the same as a cached one, by the author's rule. */
export async function agrees(
  fresh: JsonObject,
  cached: JsonObject,
  rule: CacheAgreement = { by: 'text' },
  similarityOf: SimilarityOf,
): Promise<boolean> {
  if (rule.by === 'fields') return rule.fields.every((field) => isDeepStrictEqual(fresh[field], cached[field]));
  const [a, b] = [textOf(fresh), textOf(cached)];
  if (plain(a) === plain(b)) return true;
  if (rule.by === 'text') return false;
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

import { isJsonObject } from '../../pipelines/json.js';
import { invalidParam } from './error-body.js';

const MOST = 100;
const USUAL = 20;
const LIMIT = /^[1-9]\d{0,2}$/;

/** A page of a list, as OpenAI's lists have it, from the query `limit`, `order` and `after`. */
export function pageOf<T extends { readonly id: string }>(all: readonly T[], query: unknown) {
  const { limit = String(USUAL), order = 'desc', after } = isJsonObject(query) ? query : {};
  if (typeof limit !== 'string' || !LIMIT.test(limit) || Number(limit) > MOST)
    throw invalidParam('limit', `must be a number from 1 to ${MOST}`);
  if (order !== 'asc' && order !== 'desc') throw invalidParam('order', 'must be "asc" or "desc"');
  const ordered = order === 'asc' ? [...all] : [...all].reverse();
  const from = after === undefined ? 0 : ordered.findIndex(({ id }) => id === after) + 1;
  if (after !== undefined && from === 0) throw invalidParam('after', 'is no item of this list');
  const data = ordered.slice(from, from + Number(limit));
  return {
    object: 'list' as const,
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: from + data.length < ordered.length,
  };
}

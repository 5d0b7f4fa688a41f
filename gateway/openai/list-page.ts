import { isJsonObject } from '../../pipelines/json.js';
import { invalidParam } from './error-body.js';

const MOST = 100;
const USUAL = 20;
const LIMIT = /^[1-9]\d{0,2}$/;

/** Which page of a list is wanted. */
interface PageQuery {
  readonly limit: number;
  readonly order: 'asc' | 'desc';
  /** Id of the item that it begins behind. */
  readonly after?: unknown;
}

interface Listed {
  readonly id: string;
}

/** The query `limit`, `order` and `after` of OpenAI's lists. Throws `INVALID_INPUT`. */
export function pageQueryOf(query: unknown): PageQuery {
  const { limit = String(USUAL), order = 'desc', after } = isJsonObject(query) ? query : {};
  if (typeof limit !== 'string' || !LIMIT.test(limit) || Number(limit) > MOST)
    throw invalidParam('limit', `must be a number from 1 to ${MOST}`);
  if (order !== 'asc' && order !== 'desc') throw invalidParam('order', 'must be "asc" or "desc"');
  return { limit: Number(limit), order, ...(after !== undefined && { after }) };
}

/** A page of a list, as OpenAI's lists have it. Throws `INVALID_INPUT`. */
export function pageOf<T extends Listed>(all: readonly T[], query: unknown) {
  const wanted = pageQueryOf(query);
  return pageIn(wanted.order === 'asc' ? all : [...all].reverse(), wanted);
}

/**
 * The page in what was read of a list in the order of the query: from the item at the latest that it begins behind, and at least one
 * item more than the page has, where there is one. Throws `INVALID_INPUT`.
 */
export function pageIn<T extends Listed>(ordered: readonly T[], { limit, after }: PageQuery) {
  const from = placeBehind(ordered, after);
  if (from === undefined) throw invalidParam('after', 'is no item of this list');
  const data = ordered.slice(from, from + limit);
  return {
    object: 'list' as const,
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: from + data.length < ordered.length,
  };
}

/** Whether a page is known from what was read of a list, all places included where the item that it begins behind may be. */
export function isKnown(ordered: readonly Listed[], { limit, after }: PageQuery): boolean {
  const from = placeBehind(ordered, after);
  return from === undefined || ordered.length > from + limit;
}

/** Undefined if the item is not there. */
function placeBehind(ordered: readonly Listed[], after: unknown): number | undefined {
  const from = after === undefined ? 0 : ordered.findIndex(({ id }) => id === after) + 1;
  return after !== undefined && from === 0 ? undefined : from;
}

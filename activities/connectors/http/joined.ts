import { isJsonObject, type Json } from '../../../pipelines/json.js';
import type { Joining } from '../connector.js';
import type { Api } from './api.js';

/**
 * How calls by a description go out together: those of `embed` if its request has the texts of a call as a list
 * (`/texts`), those of `classify` if its output has a result for each besides (`results`), those of `rerank` if its
 * request has a list of pairs (`/pairs`) and its output a score for each (`scores`): results with an index into one call's
 * passages may be sorted or cut. Undefined if they do not, or if a template takes what belongs to one call.
 */
export function joiningOf(api: Api | undefined): Joining | undefined {
  const sees = api && seenBy(api);
  if (!api || !sees || !hasLists(api)) return undefined;
  const { kind, response } = api;
  const several =
    (kind === 'embed' && sees('/texts')) ||
    (kind === 'classify' && sees('/texts') && has(response.output, 'results')) ||
    (kind === 'rerank' && sees('/pairs') && has(response.output, 'scores'));
  if (!several) return undefined;
  return { tenants: sees('/call/tenant') || sees('/call/affinity') ? 'apart' : 'together' };
}

/** Whether the pairs of a call go in one request: it has them as a list (`/pairs`), and its output something for each. */
export function takesPairs(api: Api): boolean {
  if (!hasLists(api) || !seenBy(api)('/pairs')) return false;
  return has(api.response.output, api.kind === 'rerank' ? 'scores' : 'results');
}

/** Whether a request of a `classify` pool has the second of two texts. */
export function takesTextPair(api: Api): boolean {
  const sees = seenBy(api);
  return api.kind === 'classify' && ['/pairs', '/input/textPair', '/given/textPair'].some(sees);
}

/** Whether it cannot do without: a template that has the whole input may. */
export const needsTextPair = ({ kind, request }: Api): boolean =>
  kind === 'classify' && /\/(?:pairs|(?:input|given)\/textPair)\b/.test(JSON.stringify(request ?? {}));

/** Whether a template of the request names a pointer. */
const seenBy =
  ({ request, headers = {} }: Api) =>
  (pointer: string): boolean =>
    mentions([request ?? {}, headers] as unknown as Json, pointer);

/**
 * Whether a request can have lists: none of its templates takes what belongs to one call. A joined call has no text, query
 * or passages of its own.
 */
function hasLists(api: Api): boolean {
  if (!api.request || api.job || api.objects || api.response.stream) return false;
  const own = ['/input', '/given/text', '/given/textPair', '/given/query', '/given/passages'];
  return !own.some((pointer) => seenBy(api)(pointer) || mentions(api.response.output, pointer));
}

const has = (output: Json | undefined, name: string): boolean => isJsonObject(output) && Object.hasOwn(output, name);

/** Whether a template names the value at a pointer, one around it, or a part of it. */
function mentions(template: Json | undefined, pointer: string): boolean {
  if (typeof template === 'string') {
    return [...template.matchAll(/\/[^{}]*/g)].some(([found]) => within(found, pointer) || within(pointer, found));
  }
  if (typeof template !== 'object' || template === null) return false;
  return Object.values(template).some((each) => mentions(each as Json, pointer));
}

const within = (inner: string, outer: string): boolean => inner === outer || inner.startsWith(`${outer}/`);

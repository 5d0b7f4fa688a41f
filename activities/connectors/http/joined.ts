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
  if (!api?.request || api.job || api.objects || api.response.stream) return undefined;
  const { kind, request, headers = {}, response } = api;
  const sees = (pointer: string) => mentions([request, headers] as unknown as Json, pointer);
  const { output } = response;
  // What belongs to one call: a joined call has no text, query or passages of its own.
  const own = ['/input', '/given/text', '/given/query', '/given/passages'];
  if (own.some((pointer) => sees(pointer) || mentions(output, pointer))) return undefined;
  const several =
    (kind === 'embed' && sees('/texts')) ||
    (kind === 'classify' && sees('/texts') && has(output, 'results')) ||
    (kind === 'rerank' && sees('/pairs') && has(output, 'scores'));
  if (!several) return undefined;
  return { tenants: sees('/call/tenant') || sees('/call/affinity') ? 'apart' : 'together' };
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

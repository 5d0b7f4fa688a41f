import { createHash } from 'node:crypto';
import { isJsonObject, type JsonObject } from '../../../pipelines/json.js';
import type { Priority } from '../../../pipelines/plan/index.js';
import type { Call, CallContext } from '../connector.js';
import type { OpenAiOptions, ServerSoftware } from './options.js';

/** Members that are merged by name rather than replaced: options of the chat template, of which a stage sets some. */
const MERGED: ReadonlySet<string> = new Set(['chat_template_kwargs', 'extra_body', 'custom_params']);

/** A request's body with members from `extra`, which replace those of the same name. */
export function withExtra<T extends object>(body: T, ...extras: readonly (JsonObject | undefined)[]): T {
  const merged: Record<string, unknown> = { ...(body as Readonly<Record<string, unknown>>) };
  for (const extra of extras) {
    for (const [name, value] of Object.entries(extra ?? {})) {
      const before = merged[name];
      merged[name] = MERGED.has(name) && isJsonObject(before) && isJsonObject(value) ? { ...before, ...value } : value;
    }
  }
  return merged as T;
}

/** The pool's further members, then the stage's. */
export const extrasOf = ({ with: { extra } }: Pick<Call, 'with'>, { extra: ofPool }: OpenAiOptions) =>
  [ofPool, extra as JsonObject | undefined] as const;

/** Servers that keep cached prefixes of different salts apart. */
const SALTED: ReadonlySet<ServerSoftware> = new Set(['vllm', 'sglang']);

/**
 * Priorities of a request: vLLM serves lower numbers first, SGLang higher ones. Both take 0 for a request without one.
 */
const PRIORITIES: Partial<Record<ServerSoftware, Readonly<Record<Priority, number>>>> = {
  vllm: { interactive: -1, default: 0, batch: 1 },
  sglang: { interactive: 1, default: 0, batch: -1 },
};

type Caller = Pick<CallContext, 'tenant' | 'priority'>;
type OfCaller = { cache_salt?: string; priority?: number };

/** Members that tell a server whose request it is: the salt of its cached prefixes, and its priority. */
export function ofCaller(
  software: ServerSoftware,
  { cacheSalt, priority: asked }: OpenAiOptions,
  { tenant, priority = 'default' }: Caller,
): OfCaller {
  const rank = asked ? PRIORITIES[software]?.[priority] : undefined;
  return {
    ...(cacheSalt === 'tenant' && tenant !== undefined && SALTED.has(software) && { cache_salt: saltOf(tenant) }),
    ...(rank !== undefined && { priority: rank }),
  };
}

/**
 * These members of a request for vectors or scores, which not every server has there: vLLM has both
 * (`PoolingBasicRequestMixin`), SGLang a priority of embeddings (`EmbeddingRequest`). What a class does not have it drops.
 */
export function ofPoolingCaller(
  route: 'embeddings' | 'scores',
  software: ServerSoftware,
  pool: OpenAiOptions,
  caller: Caller,
): OfCaller {
  if (software === 'vllm') return ofCaller(software, pool, caller);
  const { priority } = software === 'sglang' && route === 'embeddings' ? ofCaller(software, pool, caller) : {};
  return priority === undefined ? {} : { priority };
}

/** The same at every worker, and no tenant's name. */
const saltOf = (tenant: string): string =>
  createHash('sha256').update(`millrace cache salt\n${tenant}`).digest('base64url');

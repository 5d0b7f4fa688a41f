import type { JsonObject } from '../../../pipelines/json.js';
import type { Api } from './api.js';

interface Canary {
  readonly input: JsonObject;
  readonly with: JsonObject;
}

/** The smallest call by kind. Kinds of media and those with effects have none: the health path stands for them. */
const SMALLEST: Readonly<Record<string, Canary>> = {
  chat: { input: { prompt: 'ok', history: [] }, with: { maxTokens: 1, temperature: 0 } },
  embed: { input: { text: 'ok' }, with: {} },
  classify: { input: { text: 'ok' }, with: { labels: ['ok'] } },
  rerank: { input: { query: 'ok', passages: [{ id: '0', text: 'ok' }] }, with: {} },
  synthesize: { input: { text: 'ok' }, with: {} },
};

/** The canary of a pool; undefined if it has none. A job's submission would be work that nobody fetches. */
export function canaryOf(kind: string, { canary, job, objects }: Api): Canary | undefined {
  if (canary) return { input: canary.input as JsonObject, with: (canary.with ?? {}) as JsonObject };
  return job || objects ? undefined : SMALLEST[kind];
}

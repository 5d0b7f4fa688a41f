import type { JsonObject } from '../../../pipelines/json.js';
import type { Api } from './api.js';
import { needsTextPair } from './joined.js';

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

/** Of a classifier of two texts. */
const TWO_TEXTS: Canary = { input: { text: 'ok', textPair: 'ok' }, with: { labels: ['ok'] } };

/** The canary of a pool; undefined if it has none. A job's submission would be work that nobody fetches. */
export function canaryOf(kind: string, api: Api): Canary | undefined {
  const { canary, job, objects } = api;
  if (canary) return { input: canary.input as JsonObject, with: (canary.with ?? {}) as JsonObject };
  if (job || objects) return undefined;
  return kind === 'classify' && needsTextPair(api) ? TWO_TEXTS : SMALLEST[kind];
}

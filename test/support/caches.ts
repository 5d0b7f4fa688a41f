import type { Redis } from 'ioredis';
import {
  Budget,
  type CacheRequest,
  type CacheTimeouts,
  type Embedder,
  type Entailment,
  ExactCache,
  SemanticCache,
  VectorCache,
} from '../../activities/cache/index.js';
import type { Judge } from '../../activities/cache/judge.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { Logger } from '../../telemetry/logger.js';
import { createMetrics, type Metrics } from '../../telemetry/metrics.js';

export interface Warning {
  readonly message: string;
  readonly fields: object;
}

/** A logger that keeps warnings. */
export function recordingLogger(): { logger: Logger; warnings: Warning[] } {
  const warnings: Warning[] = [];
  const ignore = () => undefined;
  const logger = { debug: ignore, info: ignore, error: ignore };
  return { warnings, logger: { ...logger, warn: (fields, message) => warnings.push({ fields, message }) } };
}

export interface TestCache {
  readonly cache: SemanticCache;
  readonly exact: ExactCache;
  readonly vectors: VectorCache;
  readonly budget: Budget;
  readonly warnings: readonly Warning[];
  readonly metrics: Metrics;
}

/** A model server that others use too must not change what a cache gives. */
const EMBED_MS = 30_000;

export function openCache(
  redis: Redis,
  embedder: Embedder,
  timeouts: Partial<CacheTimeouts> = {},
  tenantBytesPerHour?: number,
  more: { heldBytes?: number; principalBytesPerHour?: number; judge?: Judge; entailment?: Entailment } = {},
): TestCache {
  const { logger, warnings } = recordingLogger();
  const metrics = createMetrics();
  const budget = new Budget(redis, more.heldBytes ?? 0);
  const { principalBytesPerHour, judge, entailment } = more;
  const allowances = { tenantBytesPerHour, principalBytesPerHour };
  const parts = { redis, metrics, logger, ...allowances, budget };
  return {
    cache: new SemanticCache({
      ...parts,
      embedderFor: () => embedder,
      ...(judge && { judgeFor: () => judge }),
      ...(entailment && { entailmentFor: () => entailment }),
      timeouts: { embedMs: EMBED_MS, ...timeouts },
    }),
    exact: new ExactCache({ ...parts, ...(timeouts.leaseMs !== undefined && { leaseMs: timeouts.leaseMs }) }),
    vectors: new VectorCache(redis, logger, budget, allowances),
    budget,
    warnings,
    metrics,
  };
}

export const request = (key: string, more: Partial<CacheRequest> = {}): CacheRequest => ({
  tenant: 'acme',
  pipeline: 'test',
  stage: 'answer',
  kind: 'chat',
  model: 'assistant',
  context: {},
  key,
  ttlMs: 60_000,
  minSimilarity: 0.85,
  embedder: 'minilm',
  ...more,
});

/** A model that takes `ms`, answers `text` and counts its calls. */
export function model(text: string, ms = 0): { ask: () => Promise<JsonObject>; calls: () => number } {
  let calls = 0;
  return {
    calls: () => calls,
    ask: async () => {
      calls += 1;
      if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
      return { text };
    },
  };
}

/** A signal that does not abort. */
export const never = (): AbortSignal => new AbortController().signal;

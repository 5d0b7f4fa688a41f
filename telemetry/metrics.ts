import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Histogram buckets in seconds, from a cache lookup (1 ms) to a long transcription (5 min), about three per decade. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** Histogram buckets of runs in seconds: from a cached answer to a run that waits for a person, a day. */
const RUN_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200, 86_400];

/**
 * The worker’s metrics, in Prometheus’ units. A counter whose labels are known here begins at 0: to Prometheus a series
 * that appears with the value 1 has not increased, and an alert would miss the first event.
 */
export function createMetrics(registry = new Registry()) {
  const registers = [registry];
  const metrics = {
    registry,
    runs: new Counter({
      name: 'millrace_runs_total',
      help: 'Runs that have ended: succeeded, failed or cancelled, without those ended by Temporal itself',
      labelNames: ['pipeline', 'status'] as const,
      registers,
    }),
    runSeconds: new Histogram({
      name: 'millrace_run_duration_seconds',
      help: 'Time from the start of a run to its end',
      labelNames: ['pipeline', 'status'] as const,
      buckets: RUN_SECONDS,
      registers,
    }),
    stageSeconds: new Histogram({
      name: 'millrace_stage_seconds',
      help: 'Duration of an attempt of a stage',
      labelNames: ['pipeline', 'stage', 'kind', 'model', 'outcome'] as const,
      buckets: SECONDS,
      registers,
    }),
    stageQueueSeconds: new Histogram({
      name: 'millrace_stage_queue_seconds',
      help: 'Time that an attempt of a stage waited before it ran',
      labelNames: ['pipeline', 'stage'] as const,
      buckets: SECONDS,
      registers,
    }),
    backendCalls: new Counter({
      name: 'millrace_backend_calls_total',
      help: 'Calls to model servers by result: ok, an error code, aborted if cancelled, or hedged if its hedge was faster',
      labelNames: ['connector', 'model', 'endpoint', 'code'] as const,
      registers,
    }),
    usage: new Counter({
      name: 'millrace_usage_total',
      help: 'What calls consumed: input_tokens, output_tokens, audio_seconds',
      labelNames: ['model', 'unit'] as const,
      registers,
    }),
    cacheLookups: new Counter({
      name: 'millrace_cache_lookups_total',
      help: 'Cache lookups by outcome: hit, miss, shared, bypass',
      labelNames: ['pipeline', 'stage', 'outcome'] as const,
      registers,
    }),
    cacheHits: new Counter({
      name: 'millrace_cache_hits_total',
      help: 'Cache hits by tier: exact (the same text or input), guard (another form of it), verifier, entailment',
      labelNames: ['pipeline', 'stage', 'tier'] as const,
      registers,
    }),
    cacheLabels: new Counter({
      name: 'millrace_cache_labels_total',
      help: 'Fresh answers compared with the cached one that was or would have been a hit: right or wrong',
      labelNames: ['pipeline', 'stage', 'tier', 'label'] as const,
      registers,
    }),
    cacheEntailments: new Counter({
      name: 'millrace_cache_entailments_total',
      help: 'Pairs for the entailment model of a verifier: scored, known, long, late, failed, resting, busy',
      labelNames: ['pipeline', 'stage', 'outcome'] as const,
      registers,
    }),
    cacheErrorBound: new Gauge({
      name: 'millrace_cache_error_bound',
      help: 'Upper 90 % bound of the error rate of the semantic cache’s hits; 1 without labels',
      labelNames: ['pipeline', 'stage', 'tenant'] as const,
      registers,
    }),
    cacheOpenStep: new Gauge({
      name: 'millrace_cache_open_step',
      help: 'How far the verifier’s threshold has opened: 0 the guard alone, 13 the loosest',
      labelNames: ['pipeline', 'stage', 'tenant'] as const,
      registers,
    }),
    cacheSeconds: new Histogram({
      name: 'millrace_cache_lookup_seconds',
      help: 'Time of a semantic cache lookup, including its embedding',
      labelNames: ['pipeline', 'stage'] as const,
      buckets: SECONDS,
      registers,
    }),
    heals: new Counter({
      name: 'millrace_heals_total',
      help: 'Repairs of models after a failed canary: repaired (ok), not repaired (failed) or not permitted (refused)',
      labelNames: ['connector', 'model', 'endpoint', 'outcome'] as const,
      registers,
    }),
    modelLoads: new Counter({
      name: 'millrace_model_loads_total',
      help: 'Models loaded on demand: loaded (ok), refused by the server (failed), or no memory could be freed (full)',
      labelNames: ['connector', 'model', 'endpoint', 'outcome'] as const,
      registers,
    }),
    modelLoadSeconds: new Histogram({
      name: 'millrace_model_load_seconds',
      help: 'Time that a server took to load a model on demand',
      labelNames: ['model', 'endpoint'] as const,
      buckets: SECONDS,
      registers,
    }),
    modelUnloads: new Counter({
      name: 'millrace_model_unloads_total',
      help: 'Models unloaded to make room for others',
      labelNames: ['connector', 'model', 'endpoint'] as const,
      registers,
    }),
    ejections: new Counter({
      name: 'millrace_ejections_total',
      help: 'Ejections of an endpoint from its pool because it failed more than the others',
      labelNames: ['model', 'endpoint'] as const,
      registers,
    }),
    hedges: new Counter({
      name: 'millrace_hedges_total',
      help: 'Calls that reached their hedge delay: the second call won, lost or failed, or was suppressed (no budget or no capacity)',
      labelNames: ['model', 'outcome'] as const,
      registers,
    }),
    batchCalls: new Histogram({
      name: 'millrace_micro_batch_calls',
      help: 'Calls of one request of a pool with microBatch',
      labelNames: ['model'] as const,
      buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256],
      registers,
    }),
    webhookAttempts: new Counter({
      name: 'millrace_webhook_attempts_total',
      help: 'Attempts at webhook targets by outcome: delivered, failed, refused, busy',
      labelNames: ['outcome'] as const,
      registers,
    }),
    eventsLost: new Counter({
      name: 'millrace_events_lost_total',
      help: 'Run events lost because the state store was away or full',
      labelNames: ['why'] as const,
      registers,
    }),
    recordGaps: new Counter({
      name: 'millrace_record_gaps_total',
      help: 'Calls missing from the record of their run because the state store was away or full, or the record had reached its limit',
      registers,
    }),
    poolOutstanding: new Gauge({
      name: 'millrace_pool_outstanding',
      help: 'Calls in flight at an endpoint',
      labelNames: ['model', 'endpoint'] as const,
      registers,
    }),
  };
  for (const outcome of ['delivered', 'failed', 'refused', 'busy']) metrics.webhookAttempts.inc({ outcome }, 0);
  for (const why of ['away', 'full']) metrics.eventsLost.inc({ why }, 0);
  return metrics;
}

export type Metrics = ReturnType<typeof createMetrics>;

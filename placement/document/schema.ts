import { z } from 'zod';
import { METRICS } from '../workload/index.js';

/** `placement.json`: what `millrace place` decides and `millrace apply` carries out; see docs/reference/placement.md. */

const ms = z.number().min(0);
const share = z.number().min(0);

const latencies = z.strictObject({ p50Ms: ms, p95Ms: ms, p99Ms: ms });

/** A figure of a stage at a percentile: the 95th, the 99th, or that of the goodput; the names are those of serving, see docs/reference/placement.md. */
const stageFigure = z.strictObject({
  stage: z.string(),
  metric: z.enum(METRICS),
  percentile: z.number().gt(0).max(100),
  ms,
});

export const predictedSchema = z.strictObject({
  /** Of whole runs, from arrival to the end. */
  ...latencies.shape,
  /** The same of each pipeline by its name, if there are several. */
  pipelines: z.record(z.string(), latencies).optional(),
  /** Completed runs per second, of those that arrive. */
  throughputPerSecond: z.number().min(0),
  arrivedPerSecond: z.number().min(0),
  /** Share of the runs that fail. */
  failedShare: share,
  /** Share of the runs whose prompt and answer fit the cache of no replica here; they count as late. */
  oversizedShare: share.default(0),
  /** Sequences that lose their place in a full key-value cache, per run. */
  preemptionsPerRun: share.default(0),
  /** The figures that the objective names, in its order. */
  figures: z.array(stageFigure).optional(),
  /**
   * By objective, `p99`, `p95`, of one of several pipelines `voice p99`, a figure such as `voice/answer ttft p99`, or `goodput`: the share of the runs beyond it, and what part of
   * the share that may be late this is; above 1 it is missed.
   */
  errorBudgets: z.array(z.strictObject({ of: z.string(), beyond: share.max(1), spent: share })).optional(),
  /** Share of the runs, without those that fail, that meet all stated times at once; and how many a second they are. */
  attainment: share.max(1).optional(),
  goodputPerSecond: z.number().min(0).optional(),
  /** The minute with the least of that share, from so many seconds after the first arrival; of loads of two minutes or more. */
  worstMinute: z
    .strictObject({ fromS: z.number().min(0), arrivedPerSecond: z.number().min(0), attainment: share.max(1) })
    .optional(),
  /** Time of each stage by its key, `<pipeline>/<stage>`. */
  stages: z.record(
    z.string(),
    z.strictObject({
      waitMs: ms,
      waitP99Ms: ms,
      serviceMs: ms,
      batch: z.number().min(0),
      /**
       * Of a model served apart, within `serviceMs`: the time of a prompt, the wait for a replica that generates, the transfer
       * of its cache, and sequences of a replica when one joins.
       */
      handover: z.strictObject({ prefillMs: ms, waitMs: ms, transferMs: ms, batch: z.number().min(0) }).optional(),
    }),
  ),
  /** Share of the time that each device is busy, and memory used by its models, in bytes. */
  devices: z.record(z.string(), z.strictObject({ utilisation: share, memoryBytes: z.number().min(0) })),
});

/** Most tokens of prompts in a step beside the running sequences; 0: these wait for the whole prompt. */
const chunkTokens = z.int().min(0);

const replica = z.strictObject({
  /** Ids of the devices that it uses: several with tensor or pipeline parallelism. */
  devices: z.array(z.string()).min(1),
  /** Task queue of calls that must run here: `device.<node>.<index>`, of the first device. */
  queue: z.string(),
  /** If it differs from the pool's: on another kind of device. */
  parallel: z.strictObject({ tensor: z.int().min(1), pipeline: z.int().min(1) }).optional(),
  /** Server that already runs there, if the inventory names one. */
  endpoint: z.string().optional(),
  /**
   * Of an LLM: bytes that it may use on each device, its key-value cache included, tokens of that cache, bytes of a token in it on each
   * device, and bytes there beside cache and weights. Without the last, as in placements of earlier releases, the tokens also stand for these bytes.
   */
  memoryBytes: z.number().min(0).optional(),
  cacheTokens: z.int().min(0).optional(),
  tokenBytes: z.number().gt(0).optional(),
  reservedBytes: z.number().min(0).optional(),
  /** If it differs from the pool's: on another kind of device. Absent in both: vLLM decides. */
  chunkTokens: chunkTokens.optional(),
});

export const placedPoolSchema = z.strictObject({
  /** Name of the pool: the `model` of its stages. */
  model: z.string(),
  variant: z.string(),
  quality: z.number(),
  batching: z.enum(['dynamic', 'continuous']),
  parallel: z.strictObject({ tensor: z.int().min(1), pipeline: z.int().min(1) }),
  /** Most concurrent requests in a replica: a batch, or the sequences of an LLM. */
  maxBatch: z.int().min(1),
  preferredBatchSizes: z.array(z.int().min(1)),
  /** Longest time that a batch waits to fill, in milliseconds. */
  maxQueueDelayMs: ms,
  /** Bytes on each device of a replica. */
  memoryBytes: z.number().min(0),
  /**
   * Of a model served apart: the part of its calls that these replicas serve, and the pool of the other part. A pool for prompts
   * serves no stage of its own: calls go to a router in front of both.
   */
  apart: z.strictObject({ part: z.enum(['prefill', 'decode']), with: z.string() }).optional(),
  /**
   * Of an LLM whose prompts the load says something of: the share of their tokens that prefix caches have, with this affinity of its
   * calls (`by`: an option, the models file, or the default of pools) and with the other kind of routing, and the load's columns that
   * say so.
   */
  prefixCache: z
    .strictObject({
      affinity: z.enum(['prefix', 'session', 'none']),
      by: z.enum(['option', 'models', 'default']),
      share: share.max(1),
      otherwise: share.max(1),
      from: z.array(z.string()).min(1),
    })
    .optional(),
  /** Task queue served by any replica: `pool.<model>`. */
  queue: z.string(),
  replicas: z.array(replica).min(1),
  /** Of an LLM, as the profiles of all its replicas state it; absent: one of them states none, or the placement is of an earlier release. */
  chunkTokens: chunkTokens.optional(),
  /** vLLM's `--speculative-config`, if its profile decodes speculatively. */
  speculative: z.record(z.string(), z.json()).optional(),
  /** Fingerprint of the profiled model, if the profile has one. */
  fingerprint: z.strictObject({ model: z.string(), server: z.string(), device: z.string() }).optional(),
  reason: z.string(),
});

/** Prediction without one device. */
export const degradedSchema = z.strictObject({
  without: z.string(),
  /** The same placement without the replicas on that device; null if a pool has none left. */
  predicted: predictedSchema.omit({ stages: true, devices: true }).nullable(),
  /** Share of the runs to refuse so that the others meet the objective. */
  shedShare: share,
  /** Pools without a remaining replica. */
  lost: z.array(z.string()),
});

/** One additional device, for the pool that gains most by it for its price. */
const nextStep = z.strictObject({
  add: z.string(),
  for: z.string(),
  pricePerHour: z.number().min(0),
  p99Ms: ms,
  /** The figures that the objective names, with it. */
  figures: z.array(stageFigure).optional(),
});

/** Sizes of runs by column: the values at one index are those of one run. */
const runSizes = z
  .record(z.string(), z.array(z.number().min(0)).min(1))
  .refine(
    (columns) => new Set(Object.values(columns).map(({ length }) => length)).size <= 1,
    'its columns differ in length: give each run a size in all of them',
  );

const robust = z.strictObject({ holds: z.boolean(), p95Ms: ms, p99Ms: ms, shedShare: share });

export const placementSchema = z.strictObject({
  format: z.literal(1),
  /** First 12 hex digits of the sha256 of the canonical JSON of pools and stages. */
  version: z.string().regex(/^[0-9a-f]{12}$/),
  objective: z.enum(['cost', 'rate']),
  slo: z.strictObject({
    p95Ms: ms.optional(),
    p99Ms: ms.optional(),
    qualityFloor: share.optional(),
    /** Least quality of every pipeline from end to end. */
    quality: share.max(1).optional(),
    /** Objectives of stages. */
    stages: z.array(stageFigure).optional(),
    /** Least share of the runs that meets all of these times at once: of all runs, and of those of each minute. */
    goodput: share.max(1).optional(),
    worstMinute: share.max(1).optional(),
    /** Largest part of the error budget of each percentile, and of the goodput, that is spent. */
    errorBudget: z.number().gt(0).max(1).optional(),
    /** A single loss after which all of them hold as well. */
    survive: z.enum(['device', 'node']).optional(),
  }),
  /** Runs per second that it is made for; with objective `rate` the most that it can serve. */
  ratePerSecond: z.number().min(0),
  currency: z.string(),
  costPerHour: z.number().min(0),
  pools: z.array(placedPoolSchema),
  /** The pool of each stage, by `<pipeline>/<stage>`. */
  stages: z.record(z.string(), z.string()),
  /** Of stages whose calls differ between runs: calls of a run on average. */
  calls: z.record(z.string(), z.number().gt(0)).optional(),
  /** By pipeline: sizes of runs of the load, for `replan` to draw from. Absent: the load states none, or an earlier release made it. */
  sizes: z.record(z.string(), runSizes).optional(),
  predicted: predictedSchema,
  /** By pipeline: its quality from end to end, the product of the qualities of its stages' variants. Absent: all have the quality 1. */
  quality: z.record(z.string(), share.max(1)).optional(),
  bottleneck: z.strictObject({ model: z.string(), utilisation: share, reason: z.string() }),
  /**
   * Lower bound of cost per hour, or upper bound of rate, for any placement; this placement's distance from it; whether
   * it is proven optimal.
   */
  bound: z.number().min(0),
  gap: share,
  optimal: z.boolean(),
  degraded: z.array(degradedSchema),
  /** Of the losses to survive, by `slo.survive` and of spot devices, the one that uses up most of the objective. */
  worstLoss: z
    .strictObject({ without: z.string(), predicted: predictedSchema.omit({ stages: true, devices: true }) })
    .optional(),
  /** The most useful additional device; null if none lowers the 99th percentile, or the figure that binds. */
  next: nextStep.nullable(),
  robustness: z.strictObject({ slowerBy50Percent: robust, twiceTheRate: robust }),
  assumptions: z.array(z.string()),
  /** What to know before trusting the plan: a load outside of what was measured, runs that are refused. */
  warnings: z.array(z.string()).default([]),
  /** Share of the runs that no device of the inventory can serve; they are refused, and not part of the prediction. */
  refusedShare: share.default(0),
});

export type PlacementDocument = z.output<typeof placementSchema>;
export type PlacedPool = z.output<typeof placedPoolSchema>;
export type Predicted = z.output<typeof predictedSchema>;
export type StageFigure = z.output<typeof stageFigure>;
export type Degraded = z.output<typeof degradedSchema>;

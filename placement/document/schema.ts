import { z } from 'zod';

/** `placement.json`: what `millrace place` decides and `millrace apply` carries out; see docs/reference/placement.md. */

const ms = z.number().min(0);
const share = z.number().min(0);

const latencies = z.strictObject({ p50Ms: ms, p95Ms: ms, p99Ms: ms });

export const predictedSchema = z.strictObject({
  /** Of whole runs, from arrival to the end. */
  ...latencies.shape,
  /** Runs a second that end, of those that arrive. */
  throughputPerSecond: z.number().min(0),
  arrivedPerSecond: z.number().min(0),
  /** Share of the runs that end in failure. */
  failedShare: share,
  /** Time of each stage by its key, `<pipeline>/<stage>`. */
  stages: z.record(z.string(), z.strictObject({ waitMs: ms, waitP99Ms: ms, serviceMs: ms, batch: z.number().min(0) })),
  /** Share of the time that each device is busy, and what its models take of its memory, in bytes. */
  devices: z.record(z.string(), z.strictObject({ utilisation: share, memoryBytes: z.number().min(0) })),
});

const replica = z.strictObject({
  /** Ids of the devices that it takes: several for a model in tensor or pipeline parallel. */
  devices: z.array(z.string()).min(1),
  /** Task queue of calls that must run here: `device.<node>.<index>`, of the first of its devices. */
  queue: z.string(),
  /** Server that runs there already, where the inventory names one. */
  endpoint: z.string().optional(),
});

export const placedPoolSchema = z.strictObject({
  /** Name of the pool: the `model` of its stages. */
  model: z.string(),
  variant: z.string(),
  quality: z.number(),
  batching: z.enum(['dynamic', 'continuous']),
  parallel: z.strictObject({ tensor: z.int().min(1), pipeline: z.int().min(1) }),
  /** Most requests at once in a replica: a batch, or the sequences of an LLM. */
  maxBatch: z.int().min(1),
  preferredBatchSizes: z.array(z.int().min(1)),
  /** How long a batch waits for more, in milliseconds. */
  maxQueueDelayMs: ms,
  /** Bytes on each device of a replica. */
  memoryBytes: z.number().min(0),
  /** Task queue that any replica serves: `pool.<model>`. */
  queue: z.string(),
  replicas: z.array(replica).min(1),
  /** What was profiled, where the profile says. */
  fingerprint: z.strictObject({ model: z.string(), server: z.string(), device: z.string() }).optional(),
  reason: z.string(),
});

/** What holds when one device is gone. */
export const degradedSchema = z.strictObject({
  without: z.string(),
  /** The same placement less the replicas on that device; null where a pool has none left. */
  predicted: predictedSchema.omit({ stages: true, devices: true }).nullable(),
  /** Share of the runs to refuse so that the others keep the objective. */
  shedShare: share,
  /** Pools that have no replica left. */
  lost: z.array(z.string()),
});

/** One device more, for the pool that gains most by it for its price. */
const nextStep = z.strictObject({
  add: z.string(),
  for: z.string(),
  pricePerHour: z.number().min(0),
  p99Ms: ms,
});

const robust = z.strictObject({ holds: z.boolean(), p95Ms: ms, p99Ms: ms, shedShare: share });

export const placementSchema = z.strictObject({
  format: z.literal(1),
  /** First 12 hex digits of the sha256 of the canonical JSON of what is carried out: pools and stages. */
  version: z.string().regex(/^[0-9a-f]{12}$/),
  objective: z.enum(['cost', 'rate']),
  slo: z.strictObject({ p95Ms: ms.optional(), p99Ms: ms.optional(), qualityFloor: share.optional() }),
  /** Runs a second that it is made for; of objective `rate` the most that it holds. */
  ratePerSecond: z.number().min(0),
  currency: z.string(),
  costPerHour: z.number().min(0),
  pools: z.array(placedPoolSchema),
  /** The pool of each stage, by `<pipeline>/<stage>`. */
  stages: z.record(z.string(), z.string()),
  predicted: predictedSchema,
  bottleneck: z.strictObject({ model: z.string(), utilisation: share, reason: z.string() }),
  /** What no placement can beat: a cost per hour, or a rate; how far this one is from it; whether that is proved to be all. */
  bound: z.number().min(0),
  gap: share,
  optimal: z.boolean(),
  degraded: z.array(degradedSchema),
  /** The next most useful euro; null when no device more lowers the 99th percentile. */
  next: nextStep.nullable(),
  robustness: z.strictObject({ slowerBy50Percent: robust, twiceTheRate: robust }),
  assumptions: z.array(z.string()),
});

export type PlacementDocument = z.output<typeof placementSchema>;
export type PlacedPool = z.output<typeof placedPoolSchema>;
export type Predicted = z.output<typeof predictedSchema>;
export type Degraded = z.output<typeof degradedSchema>;

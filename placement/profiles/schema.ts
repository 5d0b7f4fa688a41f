import { z } from 'zod';
import { memory, memoryOrNone } from '../source/index.js';

/** A profile as `millrace profile` writes it; see docs/reference/placement.md. */

/** Milliseconds: a nanosecond, and more than a week. What is beyond has another unit. */
const TIMES = { least: 1e-6, most: 1e9 };

const ms = (what: string) =>
  z
    .number({ error: `give ${what} in milliseconds` })
    .positive({ error: `${what}: give a time above 0 ms`, abort: true })
    .min(TIMES.least, `${what}: give at least ${TIMES.least} ms`)
    .max(TIMES.most, `${what}: give at most ${TIMES.most} ms`);
/** Rows of a table: more than any measurement has. */
const MOST_ROWS = 4_096;
const tooMany = `at most ${MOST_ROWS} rows`;
const column = z
  .string({ error: 'name the column of the trace that holds the size, e.g. audio_s' })
  .regex(/^[a-z][a-z0-9_]*$/, 'lower-case letters, digits and "_"');

/** Percentiles of one measured cell of the table. */
const measured = {
  p50Ms: ms('the median'),
  /** Absent: the source has none; the largest known percentile stands for it, and the plan says so. */
  p95Ms: ms('the 95th percentile').optional(),
  p99Ms: ms('the 99th percentile').optional(),
  /** Absent: derived from the other percentiles, with a distribution that is symmetric below its 95th. */
  meanMs: ms('the mean').optional(),
};
const rising = { error: 'percentiles must not fall: p50Ms <= p95Ms <= p99Ms' };
const rises = ({
  p50Ms,
  p95Ms = p50Ms,
  p99Ms = p95Ms,
}: {
  p50Ms: number;
  p95Ms?: number | undefined;
  p99Ms?: number | undefined;
}) => p50Ms <= p95Ms && p95Ms <= p99Ms;
const batch = z.int({ error: 'give a whole number' }).min(1, 'at least 1').max(4096, 'at most 4096');

const devices = z.int({ error: 'give a whole number of devices' }).min(1, 'at least 1 device');

const common = {
  format: z.literal(1, { error: 'must be 1, the format of this release' }),
  /** The pool that serves the stage: its `model` in the plan. */
  model: z.string({ error: 'name the model, as the pipeline’s stage does' }).min(1),
  /** Only for this stage; absent: for every stage of the model. */
  stage: z.string().min(1).optional(),
  /** Precision, engine, degree of parallelism: distinguishes ways of serving the model. */
  variant: z.string().min(1).default('default'),
  /** As the inventory names it. */
  deviceKind: z.string({ error: 'name the device kind, as the inventory does' }).min(1),
  /** Quality of the answers, from 0 to 1, on a scale that the models’ users define. */
  quality: z.number({ error: 'give a share' }).min(0, 'from 0 to 1').max(1, 'from 0 to 1').default(1),
  /** Devices per replica: tensor x pipeline. */
  parallel: z
    .strictObject({ tensor: devices.default(1), pipeline: devices.default(1) })
    .default({ tensor: 1, pipeline: 1 }),
  /** What was measured: a profile is stale if one of these has changed. */
  fingerprint: z.strictObject({ model: z.string(), server: z.string(), device: z.string() }).optional(),
  measuredAt: z.iso.datetime({ offset: true, error: 'give an ISO 8601 time' }).optional(),
  /** What a plan that counts on the measurements has to say of them. */
  note: z.string().min(1).max(500, 'at most 500 characters').optional(),
  /** Time of a call outside the device: protocol, copies, scheduling. It does not occupy a device. */
  overheadMs: z
    .number({ error: 'give a time in milliseconds' })
    .min(0, 'not negative')
    .max(TIMES.most, `give at most ${TIMES.most} ms`)
    .default(0),
};

const dynamic = z.strictObject({
  ...common,
  /** Batching as in Triton: waiting requests are taken together. */
  batching: z.literal('dynamic'),
  /** Absent: unknown, assumed to be none. */
  memory: z.strictObject({ weights: memory, perRequest: memoryOrNone.default(0) }).optional(),
  /** Preferred batch sizes; empty: any. */
  preferredBatchSizes: z.array(batch).default([]),
  /**
   * The size that a call's time depends on besides the batch; absent: none. A batch takes as long as its largest
   * member.
   */
  size: z
    .strictObject({ variable: column, typical: z.number({ error: 'give a typical size' }).positive('above 0') })
    .optional(),
  latency: z
    .array(
      z.strictObject({ batch, size: z.number().positive('above 0').optional(), ...measured }).refine(rises, rising),
      {
        error: 'list the measured rows',
      },
    )
    .min(1, 'no rows: measure at least batch 1')
    .max(MOST_ROWS, tooMany),
});

const continuous = z.strictObject({
  ...common,
  /** Batching as in vLLM: a request joins the running ones. */
  batching: z.literal('continuous'),
  /**
   * `perToken`: of the key-value cache, for each token in or out of a sequence. Absent: unknown, assumed to be none. `reserved`: on each
   * device, beside weights and cache, for activations, CUDA graphs and what is outside of the framework. Absent: see `reservedPerDevice`.
   */
  memory: z
    .strictObject({ weights: memory, perToken: memoryOrNone.default(0), reserved: memoryOrNone.optional() })
    .optional(),
  size: z
    .strictObject({
      in: column.default('tokens_in'),
      out: column.default('tokens_out'),
      /** Tokens of a prompt that a prefix cache has; absent: `tokens_cached`. */
      cached: column.optional(),
      /** For a trace without the columns, and for a rate; absent: the load must state its sizes. */
      typicalIn: z.number().positive('above 0').optional(),
      typicalOut: z.number().positive('above 0').optional(),
    })
    .default({ in: 'tokens_in', out: 'tokens_out' }),
  /**
   * Most tokens of prompts that the server processes in one step beside the running sequences (vLLM:
   * `max_num_batched_tokens`). Absent: not stated; `chunkTokensOf` is simulated, and servers are started without it. 0: running
   * sequences wait for the whole prompt.
   */
  chunkTokens: z.int().min(0, 'not negative').max(1_048_576, 'at most 1048576').optional(),
  /** Speculative decoding of this variant. Absent: none. */
  speculative: z
    .strictObject({
      /** Tokens that are drafted for each sequence in a step. */
      tokens: z.int().min(1, 'at least 1').max(32, 'at most 32'),
      /** Share of the drafted tokens that the model accepts, one by one; measured, or assumed. */
      acceptance: z.number().min(0, 'from 0 to 1').max(1, 'from 0 to 1'),
      measured: z.boolean().default(false),
      /** Time to draft a token, as a share of a step of one sequence: 0 for n-grams, which are looked up. */
      draftCost: z.number().min(0, 'not negative').max(1, 'at most 1').default(0),
      /** The decode rows were measured with it; otherwise they are those of the model alone, and are converted. */
      included: z.boolean().default(false),
      /** vLLM's `--speculative-config`; absent: n-grams of the prompt. */
      config: z.record(z.string(), z.json()).optional(),
    })
    .optional(),
  /** Time to the first token of a prompt that runs alone. */
  prefill: z
    .array(z.strictObject({ tokens: z.number().positive('above 0'), ...measured }).refine(rises, rising))
    .min(1, 'no rows: measure at least one prompt')
    .max(MOST_ROWS, tooMany),
  /**
   * Time per token of each sequence, by the number of concurrent sequences and by `tokens`, the tokens in the cache of each
   * of them (prompt and what was generated), on average over the measurement. Without `tokens` a step is assumed to take
   * as long at every context.
   */
  decode: z
    .array(
      z.strictObject({ batch, tokens: z.number().positive('above 0').optional(), ...measured }).refine(rises, rising),
    )
    .min(1, 'no rows: measure batch 1')
    .max(MOST_ROWS, tooMany),
});

export const profileSchema = z.discriminatedUnion('batching', [dynamic, continuous], {
  error: 'batching must be "dynamic" (as Triton does it) or "continuous" (as vLLM does it)',
});

export type Profile = z.output<typeof profileSchema>;
export type DynamicProfile = z.output<typeof dynamic>;
export type ContinuousProfile = z.output<typeof continuous>;
/** As it is written in a file. */
export type ProfileFile = z.input<typeof profileSchema>;

/** Tokens of prompts in a step where a profile states none: what `vllm serve` takes by itself on devices of less than 70 GiB. */
const USUAL_CHUNK = 2_048;

/** Most tokens of prompts in a step, as they are simulated; 0: prompts are not divided. */
export const chunkTokensOf = ({ chunkTokens = USUAL_CHUNK }: Pick<ContinuousProfile, 'chunkTokens'>): number =>
  chunkTokens;

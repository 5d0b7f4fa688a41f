import { z } from 'zod';

/** A pipeline's workload: its stages as calls of pools, and their predecessors. */
export interface PipelineShape {
  readonly name: string;
  /** Every stage comes after those that it waits for. */
  readonly stages: readonly StageShape[];
  /** Assumptions beyond the plan, as text. */
  readonly assumptions: readonly string[];
}

export interface StageShape extends StageFigures {
  readonly id: string;
  /** Name of the pool that serves it. */
  readonly model: string;
  /** Indexes in `stages` of its predecessors. */
  readonly after: readonly number[];
  /** The predecessor whose output it reads piece by piece while it is made. Absent: it waits for the whole. */
  readonly streamFrom?: number;
  /** The column of the load with the calls of each run, in place of `calls`. */
  readonly callsFrom?: string;
}

/** Figures of a stage that a plan does not contain; `--assume <stage>.<figure>=<number>` states them. */
export interface StageFigures {
  /** Concurrent calls of the pool per run: the items of an `each`. A number that is not whole is their average. */
  readonly calls: number;
  /** Share of the runs that need the stage: a branch. */
  readonly share: number;
  /** Share of the calls that a cache answers, and the time of such an answer in milliseconds. */
  readonly cacheHitRate: number;
  readonly cacheHitMs: number;
  /** Share of the attempts that fail, most attempts, and the wait between two in milliseconds. */
  readonly failureRate: number;
  readonly attempts: number;
  readonly backoffMs: number;
  /** Orchestration overhead of a call, in milliseconds; it does not occupy a device. */
  readonly overheadMs: number;
  /** Size of its output, in bytes. */
  readonly outputBytes: number;
  /** Tokens of a piece of the stream that it reads: of a sentence. */
  readonly pieceTokens: number;
}

/** Tokens of a spoken sentence: about 15 words. */
const SENTENCE_TOKENS = 20;

/** A day. */
const MOST_MS = 86_400_000;
const duration = z
  .number({ error: 'give a time in milliseconds' })
  .min(0, 'not negative')
  .max(MOST_MS, `at most ${MOST_MS} ms, a day`);
const share = z.number({ error: 'give a share' }).min(0, 'from 0 to 1').max(1, 'from 0 to 1');

export const FIGURES = {
  calls: z.number({ error: 'give a number of calls' }).gt(0, 'above 0').max(10_000, 'at most 10000').default(1),
  share: share.default(1),
  cacheHitRate: share.default(0),
  cacheHitMs: duration.default(0),
  failureRate: z.number({ error: 'give a share' }).min(0, 'from 0 to 1').max(0.99, 'at most 0.99').default(0),
  attempts: z.int('a whole number').min(1, 'at least 1').max(100, 'at most 100').default(3),
  backoffMs: duration.default(100),
  overheadMs: duration.default(0),
  outputBytes: z
    .number({ error: 'give a size in bytes' })
    .min(0, 'not negative')
    .max(1e12, 'at most 1000000000000 bytes')
    .default(0),
  pieceTokens: z.int('a whole number').min(1, 'at least 1').max(100_000, 'at most 100000').default(SENTENCE_TOKENS),
} as const satisfies Record<keyof StageFigures, z.ZodType<number>>;

/** A column of the load, in place of a figure. */
export const COLUMN = z
  .string()
  .regex(/^[a-z][a-z0-9_]*$/, 'a number, or a column of the trace: lower-case letters, digits and "_"');

const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]*$/, 'letters, digits, ".", "_", "/" and "-"');

/** A pipeline in short form, without a plan: stages, models and dependencies. */
export const shapeSchema = z.strictObject({
  format: z.literal(1, { error: 'must be 1, the format of this release' }),
  name: id,
  stages: z
    .array(
      z.strictObject({
        id,
        model: z.string().min(1),
        after: z.array(z.string()).default([]),
        /** One of `after`: it reads that stage's output piece by piece while it is made. */
        streamFrom: z.string().optional(),
        ...FIGURES,
        /** Or the column of the load with the calls of each run. */
        calls: z
          .union([FIGURES.calls, COLUMN], { error: 'a number above 0 and at most 10000, or a column of the trace' })
          .default(1),
      }),
    )
    .min(1, 'no stages: list at least one')
    .max(1000, 'at most 1000 stages'),
});

/** The default figures. */
export const UNSTATED: StageFigures = z.object(FIGURES).parse({});

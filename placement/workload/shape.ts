import { z } from 'zod';

/** What placing needs to know of a pipeline: its stages as calls of pools, and what has to end before each. */
export interface PipelineShape {
  readonly name: string;
  /** Every stage stands behind those that it waits for. */
  readonly stages: readonly StageShape[];
  /** What the plan does not say and was taken for granted, for people. */
  readonly assumptions: readonly string[];
}

export interface StageShape extends StageFigures {
  readonly id: string;
  /** Name of the pool that serves it. */
  readonly model: string;
  /** Places in `stages` of what has to end before it starts. */
  readonly after: readonly number[];
}

/** What a plan cannot know about a stage; `--assume <stage>.<figure>=<number>` states it. */
export interface StageFigures {
  /** Calls of the pool in a run, all at once: the items of an `each`. */
  readonly calls: number;
  /** Share of the runs that need the stage: a branch. */
  readonly share: number;
  /** Share of the calls that a cache answers, and how long that takes in milliseconds. */
  readonly cacheHitRate: number;
  readonly cacheHitMs: number;
  /** Share of the attempts that fail, most attempts, and the wait between two in milliseconds. */
  readonly failureRate: number;
  readonly attempts: number;
  readonly backoffMs: number;
  /** Orchestration of a call, in milliseconds: it takes time and keeps no device busy. */
  readonly overheadMs: number;
  /** What it hands on, in bytes. */
  readonly outputBytes: number;
}

export const FIGURES = {
  calls: z.int('a whole number').min(1, 'at least 1').max(10_000, 'at most 10000').default(1),
  share: z.number().min(0, 'from 0 to 1').max(1, 'from 0 to 1').default(1),
  cacheHitRate: z.number().min(0, 'from 0 to 1').max(1, 'from 0 to 1').default(0),
  cacheHitMs: z.number().min(0, 'not negative').default(0),
  failureRate: z.number().min(0, 'from 0 to 1').max(0.99, 'at most 0.99').default(0),
  attempts: z.int('a whole number').min(1, 'at least 1').max(100, 'at most 100').default(3),
  backoffMs: z.number().min(0, 'not negative').default(100),
  overheadMs: z.number().min(0, 'not negative').default(0),
  outputBytes: z.number().min(0, 'not negative').default(0),
} as const satisfies Record<keyof StageFigures, z.ZodType<number>>;

const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]*$/, 'letters, digits, ".", "_", "/" and "-"');

/** A pipeline of somebody who has no plan: stages, models and what waits for what. */
export const shapeSchema = z.strictObject({
  format: z.literal(1, { error: 'must be 1, the format of this release' }),
  name: id,
  stages: z
    .array(z.strictObject({ id, model: z.string().min(1), after: z.array(z.string()).default([]), ...FIGURES }))
    .min(1, 'no stages: list at least one'),
});

/** The figures where nobody has stated any. */
export const UNSTATED: StageFigures = z.object(FIGURES).parse({});

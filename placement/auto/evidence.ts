import { z } from 'zod';
import type { Measured } from '../replan/index.js';

/** What was measured of a placement, as far as a change is judged by it. */
export const evidenceSchema = z.strictObject({
  windowMs: z.number(),
  /** Runs that began, that succeeded and that ended otherwise. */
  started: z.number(),
  completed: z.number(),
  failed: z.number(),
  /** By objective: runs, or calls of a stage, that were looked at, and those of them that were late. */
  budgets: z.array(
    z.strictObject({
      of: z.string(),
      stage: z.string().optional(),
      share: z.number(),
      ms: z.number(),
      count: z.number(),
      late: z.number(),
    }),
  ),
  /** Devices that serve nothing, and why. */
  lost: z.array(z.strictObject({ device: z.string(), because: z.string() })),
});

export type Evidence = z.output<typeof evidenceSchema>;

/** Runs that ended, well or not. */
export const endedIn = ({ completed, failed }: Evidence): number => completed + failed;

export const evidenceOf = (measured: Measured): Evidence => ({
  windowMs: Math.round(measured.windowMs),
  started: Object.values(measured.started).reduce((sum, each) => sum + each, 0),
  completed: measured.completed,
  failed: measured.failed,
  budgets: measured.budgets.map((budget) => ({ ...budget })),
  lost: measured.lost.map(({ device, because }) => ({ device, because })),
});

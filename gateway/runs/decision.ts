import { z } from 'zod';
import { MillraceError } from '../../pipelines/errors.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import type { WaitingStage } from './waiting.js';

/** Longest path of a stage: ids of graphs in graphs, each up to 63 characters, with their indices. */
const LONGEST_PATH = 1_000;
/** Longest name of who decided: it is kept in the run's history. */
const LONGEST_NAME = 200;

/** Body of `approve` and `reject`. */
export const decision = z.strictObject({
  stage: z
    .string()
    .min(1)
    .max(LONGEST_PATH)
    .optional()
    .describe('Path of the stage that waits; may be left out where only one does'),
  by: z
    .string()
    .min(1)
    .max(LONGEST_NAME)
    .refine((name) => name !== 'timeout', 'is what a run says when nobody has decided; give another name')
    .optional()
    .describe('Who decides, for people: nobody checks it. Who was authenticated is recorded beside it as `actor`'),
});

export type Decision = z.output<typeof decision>;

/** Body of `resume`. */
export const resumption = z.strictObject({
  repeat: z
    .boolean()
    .default(false)
    .describe('Whether steps that have ended may happen again where the record of the run lacks them'),
});

/** Throws `INVALID_INPUT` naming the fields. */
export const decisionOf = (body: unknown): Decision => read(decision, body);

/** Throws `INVALID_INPUT` naming the fields. */
export const resumptionWanted = (body: unknown): z.output<typeof resumption> => read(resumption, body);

function read<Shape extends z.ZodRawShape>(schema: z.ZodObject<Shape>, body: unknown): z.output<z.ZodObject<Shape>> {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const known = Object.keys(schema.shape).join(' and ');
  const fields = parsed.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((field) => ({ field, message: `is not a field; there are ${known}` }))
      : [{ field: issue.path.join('.') || 'body', message: issue.message }],
  );
  throw invalidFields('INVALID_INPUT', fields);
}

/** The stage that is decided on: the one named, or the only one that waits. Throws `NOT_WAITING`. */
export function theOne(waiting: readonly WaitingStage[], stage: string | undefined): WaitingStage {
  const [only, ...others] = waiting;
  const named = waiting.find(({ path }) => path === stage);
  if (named) return named;
  const paths = waiting.map(({ path }) => path).join(', ');
  if (stage === undefined && only !== undefined) {
    if (others.length === 0) return only;
    throw invalidFields('INVALID_INPUT', [{ field: 'stage', message: `must say which of these is meant: ${paths}` }]);
  }
  const those = waiting.length > 0 ? `; what waits is ${paths}` : '';
  const what = stage === undefined ? 'no stage of the run waits' : `stage "${stage}" does not wait`;
  throw new MillraceError('NOT_WAITING', `${what} for a decision${those}`);
}

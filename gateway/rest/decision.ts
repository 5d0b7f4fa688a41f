import { z } from 'zod';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import type { Json } from '../../pipelines/json.js';
import { expectModest } from '../input/input-size.js';

/** Longest path of a stage: ids of nested graphs, each up to 63 characters, with their indices. */
const LONGEST_PATH = 1_000;
/** Longest name of a decider; it is stored in the run's history. */
const LONGEST_NAME = 200;
/** Longest reason, which the model is given. */
export const LONGEST_REASON = 2_000;
/** A nonce is a UUID. */
const LONGEST_NONCE = 100;

/** Body of `approve` and `reject`. */
export const decision = z.strictObject({
  nonce: z
    .string('must be the nonce of an open wait: see `waiting` of GET /v1/runs/{id}')
    .min(1)
    .max(LONGEST_NONCE)
    .describe('The nonce of the wait, from `waiting` of the run or from the event `stage.waiting`'),
  stage: z
    .string()
    .min(1)
    .max(LONGEST_PATH)
    .optional()
    .describe('Path of the waiting stage; needed only if the run has many child runs'),
  by: z
    .string()
    .min(1)
    .max(LONGEST_NAME)
    .refine((name) => name !== 'timeout', 'is reserved for the default decision; give another name')
    .optional()
    .describe('Name of the person who decides; it is not verified. The authenticated caller is recorded as `actor`'),
  reason: z.string().max(LONGEST_REASON).optional().describe('The reason; an agent’s model sees it'),
});

/** Body of `approve`. */
export const approval = decision.extend({
  arguments: z
    .record(z.string(), z.json())
    .optional()
    .describe('For a tool call: arguments that replace the model’s; the model sees the change'),
  content: z
    .record(z.string(), z.json())
    .optional()
    .describe('For a question: the fields of its form, which are checked against `question.schema`'),
  scope: z
    .enum(['call', 'run', 'session'])
    .optional()
    .describe(
      'For a call of a tool: `run` approves later calls of the tool by the same agent in this run too, `session` those in all runs of its session',
    ),
});

type DecisionBody = z.output<typeof approval>;

/** Body of `resume`. */
export const resumption = z.strictObject({
  repeat: z
    .boolean()
    .default(false)
    .describe('Whether completed steps may be repeated if the record of the run lacks them'),
});

/** Body of a report of a wrong cached answer. */
export const wrongHit = z.strictObject({
  stage: z
    .string()
    .min(1)
    .max(LONGEST_PATH)
    .optional()
    .describe('The stage whose cached answer was wrong; default: every stage that was served from the cache'),
});

/** Throws `INVALID_INPUT` naming the fields. */
export const wrongHitOf = (body: unknown): z.output<typeof wrongHit> => read(wrongHit, body);

/** Throws `INVALID_INPUT` naming the fields, those of a body within another one with the path `within`. */
export const decisionOf = (body: unknown, approved: boolean, within?: string): DecisionBody =>
  read(approved ? approval : decision, body, within);

/** Throws `INVALID_INPUT` naming the fields. */
export const resumptionWanted = (body: unknown): z.output<typeof resumption> => read(resumption, body);

function read<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  body: unknown,
  within?: string,
): z.output<z.ZodObject<Shape>> {
  // The schema is recursive: arguments may be any JSON.
  expectModest(body as Json, within ?? 'body');
  const at = (field: string) => (within === undefined ? field : `${within}.${field}`);
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const known = Object.keys(schema.shape)
    .join(', ')
    .replace(/, (?=[^,]*$)/, ' and ');
  const fields = parsed.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((field) => ({ field: at(field), message: `is not a known field (known: ${known})` }))
      : [{ field: at(issue.path.join('.') || 'body'), message: issue.message }],
  );
  throw invalidFields('INVALID_INPUT', fields);
}

import { z } from 'zod';
import type { Json } from '../../pipelines/json.js';
import type { Elicited } from '../../pipelines/run/index.js';

/** What a part of a call gets from the part before it, which has ended with questions. */
export interface GoesOn {
  /** The idempotency key of the first part. */
  readonly key: string;
  /** The server’s own state, given back as it is. */
  readonly state?: string;
  readonly task?: string;
  /** Keys of the task’s questions that parts before have answered. */
  readonly answered?: readonly string[];
  /** The server refused the call until a person has been somewhere: it is made again, without answers. */
  readonly again?: true;
  /** The answers, by the server’s keys. */
  readonly answers: Readonly<Record<string, Elicited>>;
}

const elicited = z.object({
  action: z.enum(['accept', 'decline', 'cancel']),
  content: z.record(z.string(), z.json()).optional(),
});

const schema = z.object({
  key: z.string(),
  state: z.string().optional(),
  task: z.string().optional(),
  answered: z.array(z.string()).optional(),
  again: z.literal(true).optional(),
  answers: z.record(z.string(), elicited),
});

/** Undefined for the first part of a call. */
export const goesOnFrom = (given: Json | undefined): GoesOn | undefined =>
  given === undefined ? undefined : (schema.parse(given) as unknown as GoesOn);

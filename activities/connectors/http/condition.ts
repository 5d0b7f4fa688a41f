import { z } from 'zod';
import type { JsonObject } from '../../../pipelines/json.js';
import { valueAt } from '../json-values.js';
import { pointerProblem, type Scope } from './template.js';

const scalar = z.union([z.string().max(1_024), z.number(), z.boolean(), z.null()]);

/** What a template of an answer can see. */
export const ANSWER_ROOTS = ['body', 'text', 'status', 'headers'] as const;

/** A pointer into an answer. */
export const answerPointer = z.string().superRefine((pointer, context) => {
  const problem = pointerProblem(pointer, ANSWER_ROOTS);
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
});

/** Something that holds for an answer or not. Texts are compared without regard to case. */
export const condition = z
  .strictObject({
    at: answerPointer,
    /** It is this value, or one of these. */
    is: z.union([scalar, z.array(scalar).min(1).max(64)]).optional(),
    /** It is a text that contains this, or one of these. */
    has: z.union([z.string().min(1).max(1_024), z.array(z.string().min(1).max(1_024)).min(1).max(64)]).optional(),
    /** There is something, or nothing. */
    exists: z.boolean().optional(),
  })
  .refine(({ is, has, exists }) => [is, has, exists].filter((each) => each !== undefined).length === 1, {
    message: 'needs one of is, has and exists',
  });

export type Condition = z.output<typeof condition>;

/** Texts are searched this far: the cause is at the start. */
const SEARCHED = 65_536;

export function holds({ at, is, has, exists }: Condition, scope: Scope): boolean {
  const value = valueAt(scope as JsonObject, at);
  if (exists !== undefined) return (value !== undefined && value !== null) === exists;
  if (is !== undefined) return [is].flat().some((each) => same(each, value));
  if (value === undefined) return false;
  const text = (typeof value === 'string' ? value : JSON.stringify(value)).slice(0, SEARCHED).toLowerCase();
  return [has ?? []].flat().some((each) => text.includes(each.toLowerCase()));
}

const same = (a: unknown, b: unknown): boolean =>
  typeof a === 'string' && typeof b === 'string' ? a.toLowerCase() === b.toLowerCase() : a === b;

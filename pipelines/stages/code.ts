import { z } from 'zod';
import type { CodeFunction, StageKind, StageUse } from './kind.js';

/**
 * Your own TypeScript as a stage. The function lives in the worker; the plan holds its name, which must be unique among
 * the functions of the worker. It may run again after a crash, so it must be idempotent.
 *
 * ```ts
 * const shout = code('shout', { input: z.object({ text: z.string() }), output: z.object({ text: z.string() }) },
 *   ({ text }) => ({ text: text.toUpperCase() }));
 * ```
 */
export const code = <I, O>(
  name: string,
  schemas: { input: z.ZodType<I>; output: z.ZodType<O> },
  run: CodeFunction<NoInfer<I>, NoInfer<O>>,
): StageUse<I, O> => ({ kind: 'code', model: name, with: {}, ...schemas, run });

export const codeKind: StageKind = {
  input: z.looseObject({}),
  output: z.looseObject({}),
  servedBy: 'worker',
};

import { z } from 'zod';
import { MOST_FIELDS } from '../../pipelines/invalid-fields.js';
import { withStoppingLists } from './stopping-lists.js';

type Checked<T> =
  | { readonly data: T; readonly issues?: never; readonly more?: never }
  | {
      readonly data?: never;
      /** The first ones, as many as a refusal names. */
      readonly issues: readonly z.core.$ZodIssue[];
      /** How many others were found. */
      readonly more: number;
    };

/**
 * Of an input with more values the first mistake is named, and the others are not looked for: a list of a hundred thousand items of which none
 * fits would take a second of the event loop.
 */
const FEW_VALUES = 1_000;

/**
 * As `safeParse`, with texts for the first issues. Zod makes one for each mistake, and for each mistake of each alternative, which takes several
 * times as long as the check. Of a large value it stops at the first item or field that is wrong, as `validate` does, from 4.6 on, and at the first
 * entries of a record that are.
 * @param values how many the value has, with those within
 */
export function checkedInput<S extends z.ZodType>(schema: S, value: unknown, values = 0): Checked<z.output<S>> {
  const abortEarly = values > FEW_VALUES;
  const context: z.core.ParseContextInternal = { async: false, error: () => '', abortEarly };
  const checked = (abortEarly ? withStoppingLists(schema) : schema)._zod.run({ value, issues: [] }, context);
  if (checked instanceof Promise) throw new z.core.$ZodAsyncError();
  const { issues } = checked;
  if (issues.length === 0) return { data: checked.value as z.output<S> };
  const config = z.core.config();
  const named = issues.slice(0, MOST_FIELDS).map((issue) => z.core.util.finalizeIssue(issue, undefined, config));
  return { issues: named, more: issues.length - named.length };
}

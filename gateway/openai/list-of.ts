import { z } from 'zod';

/**
 * A list that is refused at the first item that does not fit. Zod's own list goes on to the last, with each alternative
 * of each item: `{}` as often as a body may have values blocks the event loop for seconds.
 */
export const listOf = <Item extends z.ZodType>(item: Item, { min = 0, max = Number.MAX_SAFE_INTEGER } = {}) =>
  z
    .array(z.unknown())
    .min(min)
    .max(max)
    .transform((given, context) => {
      const fit: z.output<Item>[] = [];
      for (const [i, each] of given.entries()) {
        const { data, error } = item.safeParse(each);
        if (error) {
          const issues = error.issues.map((issue) => ({ ...issue, input: each, path: [i, ...issue.path] }));
          context.issues.push(...(issues as z.core.$ZodRawIssue[]));
          return z.NEVER;
        }
        fit.push(data);
      }
      return fit;
    });

import type { MillraceError } from '../errors.js';
import type { Pipeline } from './defined.js';

/** Marks what stands in for an invalid definition while a module is loaded; the value is its error. */
const BROKEN = Symbol.for('millrace.broken-definition');
/** Where errors are collected, on the global object: the loader and the module may use two copies of this file. */
const COLLECTED = Symbol.for('millrace.broken-definitions');
const shared = globalThis as { [COLLECTED]?: MillraceError[] | undefined };

/**
 * Reports an invalid definition: throws its error, or, while a loader collects them, returns a placeholder, so that the
 * other definitions of the module are checked too. A definition that uses the placeholder gets the same error.
 */
export function broken(name: string, error: MillraceError): Pipeline<never, never> {
  if (shared[COLLECTED] === undefined) throw error;
  if (!shared[COLLECTED].includes(error)) shared[COLLECTED].push(error);
  return new Proxy({} as Pipeline<never, never>, {
    has: (_, key) => key === BROKEN,
    get: (_, key) => {
      if (key === BROKEN) return error;
      if (key === 'name') return name;
      // Probed by `await` and by tools that print values.
      if (typeof key === 'symbol' || key === 'then' || key === 'toJSON') return undefined;
      throw error;
    },
  });
}

/** The error of a placeholder. */
export const errorOf = (value: unknown): MillraceError | undefined =>
  typeof value === 'object' && value !== null && BROKEN in value
    ? (value as { [BROKEN]: MillraceError })[BROKEN]
    : undefined;

let last: Promise<unknown> = Promise.resolve();

/** Loads definitions. `errors`: those of invalid ones, in their order; `failure`: another error, which ended the load. */
export function collecting<T>(
  load: () => Promise<T>,
): Promise<{ readonly value?: T; readonly errors: readonly MillraceError[]; readonly failure?: unknown }> {
  // One at a time: definitions do not know which load they belong to.
  const now = last.then(async () => {
    const errors: MillraceError[] = [];
    shared[COLLECTED] = errors;
    try {
      return { value: await load(), errors };
    } catch (failure) {
      return errors.includes(failure as MillraceError) ? { errors } : { errors, failure };
    } finally {
      shared[COLLECTED] = undefined;
    }
  });
  last = now;
  return now;
}

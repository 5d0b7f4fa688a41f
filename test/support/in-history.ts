import { afterEach, beforeEach } from 'vitest';

/**
 * Code that asks Temporal whether the history of its workflow has a change, outside a workflow: during each test it has every change.
 * @returns sets for one test whether it has
 */
export function inHistory(): (hasChanges: boolean) => void {
  const set = (hasChanges: boolean) =>
    Object.assign(globalThis, { __TEMPORAL_ACTIVATOR__: { patchInternal: () => hasChanges } });
  beforeEach(() => void set(true));
  afterEach(() => void Reflect.deleteProperty(globalThis, '__TEMPORAL_ACTIVATOR__'));
  return set;
}

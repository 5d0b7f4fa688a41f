import { afterEach, beforeEach } from 'vitest';

const bindCurrentRandom = <T>(work: T): T => work;

/**
 * Code that asks Temporal whether the history of its workflow has a change, outside a workflow: during each test it has every change.
 * @param workflow what else the code uses of Temporal's activator
 * @returns sets for one test whether it has
 */
export function inHistory(workflow: object = {}): (hasChanges: boolean) => void {
  const set = (hasChanges: boolean) =>
    Object.assign(globalThis, {
      __TEMPORAL_ACTIVATOR__: { ...workflow, patchInternal: () => hasChanges, bindCurrentRandom },
    });
  beforeEach(() => void set(true));
  afterEach(() => void Reflect.deleteProperty(globalThis, '__TEMPORAL_ACTIVATOR__'));
  return set;
}

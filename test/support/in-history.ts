import { afterEach, beforeEach } from 'vitest';
import type { Change } from '../../pipelines/run/index.js';

const bindCurrentRandom = <T>(work: T): T => work;

/**
 * Code that asks Temporal whether the history of its workflow has a change, outside a workflow: during each test it has every change.
 * @param workflow what else the code uses of Temporal's activator
 * @returns sets for one test whether it has them, or which
 */
export function inHistory(workflow: object = {}): (has: boolean | ((change: Change) => boolean)) => void {
  const set = (has: boolean | ((change: Change) => boolean)) => {
    const patchInternal = typeof has === 'boolean' ? () => has : has;
    Object.assign(globalThis, { __TEMPORAL_ACTIVATOR__: { ...workflow, patchInternal, bindCurrentRandom } });
  };
  beforeEach(() => void set(true));
  afterEach(() => void Reflect.deleteProperty(globalThis, '__TEMPORAL_ACTIVATOR__'));
  return set;
}

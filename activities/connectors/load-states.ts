import type { LoadState } from './connector.js';

const STATES: Readonly<Record<string, LoadState>> = { READY: 'ready', LOADING: 'loading', UNLOADING: 'unloading' };
/** MLServer 1.7 spells its states so over gRPC: `State.READY`. */
const PREFIX = /^State\./;
const RANK: readonly LoadState[] = ['unloading', 'loading', 'ready'];

/**
 * States of a server's models by the index of its repository, which has a row for each version: `READY` of any of them counts first.
 * Rows with another state, or with none, are of versions that are not
 * loaded.
 */
export function loadStates(
  index: Iterable<{ readonly name: string; readonly state?: string }>,
): ReadonlyMap<string, LoadState> {
  const states = new Map<string, LoadState>();
  for (const { name, state = '' } of index) {
    const now = STATES[state.replace(PREFIX, '')];
    const before = states.get(name);
    if (now && (before === undefined || RANK.indexOf(now) > RANK.indexOf(before))) states.set(name, now);
  }
  return states;
}

import { erasableKey, erasedKey } from '../redis/index.js';

const JOURNAL = ':journal:';

/** Key of the journal of a segment of one execution of a run. All keys of a run are on one node of a Redis Cluster. */
export const segmentKey = (run: string, execution: string, path: string): string =>
  `millrace:{${run}}${JOURNAL}${execution}:${path}`;

/** Key of the journal of a guarded run, which a fast host runs as one segment. */
export const guardedKey = (run: string, guarded: string): string => segmentKey(run, guarded, 'run');

/** The keys of a journal, of the set of what is erased with its run, and of when the run was erased. */
export function withErasable(key: string): readonly [record: string, erasable: string, erased: string] {
  const run = key.slice(key.indexOf('{') + 1, key.indexOf(`}${JOURNAL}`));
  return [key, erasableKey(run), erasedKey(run)];
}

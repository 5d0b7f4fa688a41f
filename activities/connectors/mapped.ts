import { MillraceError } from '../../pipelines/errors.js';
import type { StageKindName } from '../../pipelines/stages/index.js';
import type { Classify } from './connector.js';

/** Runs a backend's call: what aborted its signal passes as it is, every other error as `classify` names it. */
export async function mapped<T>(
  classify: Classify,
  about: Parameters<Classify>[1],
  work: () => Promise<T>,
): Promise<T> {
  const { signal } = about;
  try {
    signal.throwIfAborted();
    return await work();
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw classify(error, about);
  }
}

/** How a connector serves a stage kind. Throws `BACKEND_REJECTED` naming the kinds that it serves. */
export function kindIn<T>(kinds: ReadonlyMap<StageKindName, T>, kind: StageKindName, connector: string): T {
  const found = kinds.get(kind);
  if (found !== undefined) return found;
  const known = [...kinds.keys()].join(', ');
  throw new MillraceError(
    'BACKEND_REJECTED',
    `${connector} does not serve the stage kind "${kind}" (it serves: ${known})`,
  );
}

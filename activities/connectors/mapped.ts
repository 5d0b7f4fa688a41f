import { MillraceError } from '../../pipelines/errors.js';
import type { MapError } from './connector.js';

/** Runs a backend's call: the signal's abort reason passes unchanged, every other error is mapped by `mapError`. */
export async function mapped<T>(
  mapError: MapError,
  about: Parameters<MapError>[1],
  work: () => Promise<T>,
): Promise<T> {
  const { signal } = about;
  try {
    signal.throwIfAborted();
    return await work();
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw mapError(error, about);
  }
}

/** How a connector serves a stage kind. Throws `BACKEND_REJECTED` naming the kinds that it serves. */
export function handlerOf<T>(kinds: ReadonlyMap<string, T>, kind: string, connector: string): T {
  const found = kinds.get(kind);
  if (found !== undefined) return found;
  const known = [...kinds.keys()].join(', ');
  throw new MillraceError(
    'BACKEND_REJECTED',
    `${connector} does not serve the stage kind "${kind}" (it serves: ${known})`,
  );
}

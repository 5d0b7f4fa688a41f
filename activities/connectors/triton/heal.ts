import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../../../pipelines/errors.js';
import type { TritonClient } from './client.js';

/** State changes are not announced; this is the polling interval. */
const POLL_MS = 50;
/**
 * A model whose process is dead may report UNLOADING for ever but can still be loaded: the wait, for its memory, ends
 * after this time.
 */
const UNLOAD_MS = 500;

/**
 * Unloads and loads a model, which starts a new Python process; a load alone leaves a dead one in place. A model that
 * is listed but not loaded, e.g. after an interrupted repair, is only loaded; for one that another client is loading
 * the function only waits. Bounded by the signal.
 */
export async function heal(client: TritonClient, model: string, signal: AbortSignal): Promise<void> {
  const state = await stateOf(client, model, signal);
  if (state === 'LOADING') {
    while ((await stateOf(client, model, signal)) === 'LOADING') await sleep(POLL_MS, undefined, { signal });
    return;
  }
  if (state === 'READY') {
    await client.unload(model, signal);
    const until = performance.now() + UNLOAD_MS;
    while (performance.now() < until && (await stateOf(client, model, signal)) === 'UNLOADING') {
      await sleep(POLL_MS, undefined, { signal });
    }
  }
  await client.load(model, signal);
}

/** READY, LOADING, UNLOADING or UNAVAILABLE; of several versions the first that is not UNAVAILABLE. */
export async function stateOf(client: TritonClient, model: string, signal: AbortSignal): Promise<string> {
  const versions = (await client.index(signal)).filter(({ name }) => name === model);
  if (versions.length === 0) throw new MillraceError('MODEL_NOT_FOUND', `the repository has no model "${model}"`);
  // A model that was never loaded has no state.
  return versions.find(({ state }) => state !== '' && state !== 'UNAVAILABLE')?.state ?? 'UNAVAILABLE';
}

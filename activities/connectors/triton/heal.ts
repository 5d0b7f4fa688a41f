import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../../../pipelines/errors.js';
import type { TritonClient } from './client.js';
import { mapError } from './errors.js';
import { probeWithZeros } from './zeros.js';

/** State changes are not announced; this is the polling interval. */
const POLL_MS = 50;
/**
 * A model whose process is dead may report UNLOADING for ever but can still be loaded: the wait, for its memory, ends
 * after this time.
 */
const UNLOAD_MS = 500;

/**
 * Unloads and loads a model, which starts a new Python process; a load alone leaves a dead one in place. Of an ensemble
 * the models that fail their own canary, then the ensemble itself if that has unloaded it. A model that is listed but
 * not loaded, e.g. after an interrupted repair, is only loaded; for one that another client is loading the function
 * only waits. Bounded by the signal.
 */
export async function heal(client: TritonClient, model: string, signal: AbortSignal): Promise<void> {
  await expectVersion(client, model, signal);
  const parts = await partsOf(client, model, signal);
  if (parts.length === 0) return reload(client, model, signal);
  for (const part of parts) if (await isBroken(client, part, signal)) await reload(client, part, signal);
  // Triton unloads the ensembles of a model that is gone, and loads them with it again: usually this only waits.
  if ((await settled(client, model, signal)) !== 'READY') await client.load(model, signal);
}

/**
 * Throws `MODEL_NOT_FOUND` where the server has other versions of the model than the pool's: its version policy has dropped
 * that one, and a reload would interrupt the callers of the others for nothing.
 */
async function expectVersion(client: TritonClient, model: string, signal: AbortSignal): Promise<void> {
  const { version } = client;
  if (version === '') return;
  const all = (await client.index(signal)).filter(({ name }) => name === model);
  const ready = all.filter(({ state }) => state === 'READY').map((one) => one.version);
  if (ready.length === 0 || ready.includes(version)) return;
  throw new MillraceError(
    'MODEL_NOT_FOUND',
    `the server serves ${model} in version ${ready.join(', ')}, not in ${version}: its version policy chooses them`,
  );
}

/** An ensemble may consist of ensembles. */
const DEEPEST = 8;

/** The models of an ensemble that are none themselves, each once; empty for any other model, and for one that is not loaded. */
async function partsOf(
  client: TritonClient,
  model: string,
  signal: AbortSignal,
  depth = 0,
): Promise<readonly string[]> {
  let config: Awaited<ReturnType<TritonClient['config']>>;
  try {
    config = await client.config(model, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (depth === 0) return [];
    throw error;
  }
  const steps = [...new Set((config?.ensemble_scheduling?.step ?? []).map(({ model_name }) => model_name))];
  if (steps.length === 0 || depth >= DEEPEST) return depth === 0 ? [] : [model];
  const all = await Promise.all(steps.map((step) => partsOf(client, step, signal, depth + 1)));
  return [...new Set(all.flat())];
}

/** Whether the smallest call of a model shows that it works for no input, or that it is not loaded. */
async function isBroken(client: TritonClient, model: string, signal: AbortSignal): Promise<boolean> {
  try {
    await probeWithZeros(model, client, signal);
    return false;
  } catch (error) {
    signal.throwIfAborted();
    const { code } = error instanceof MillraceError ? error : mapError(error, { endpoint: '', model, signal });
    return code === 'BACKEND_BROKEN' || code === 'MODEL_NOT_FOUND';
  }
}

async function reload(client: TritonClient, model: string, signal: AbortSignal): Promise<void> {
  const state = await stateOf(client, model, signal);
  if (state === 'LOADING') {
    await settled(client, model, signal);
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

/** The state of a model once it is not being loaded. */
async function settled(client: TritonClient, model: string, signal: AbortSignal): Promise<string> {
  for (;;) {
    const state = await stateOf(client, model, signal);
    if (state !== 'LOADING') return state;
    await sleep(POLL_MS, undefined, { signal });
  }
}

/** READY, LOADING, UNLOADING or UNAVAILABLE; of several versions the first that is not UNAVAILABLE. */
export async function stateOf(client: TritonClient, model: string, signal: AbortSignal): Promise<string> {
  const versions = (await client.index(signal)).filter(({ name }) => name === model);
  if (versions.length === 0) throw new MillraceError('MODEL_NOT_FOUND', `the repository has no model "${model}"`);
  // A model that was never loaded has no state.
  return versions.find(({ state }) => state !== '' && state !== 'UNAVAILABLE')?.state ?? 'UNAVAILABLE';
}

import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../../../pipelines/errors.js';
import { HttpFault } from '../http-fault.js';
import type { OipRestClient } from './client.js';

/** State changes are not announced: ask this often. */
const POLL_MS = 50;
/** A model whose process is dead may stay UNLOADING for ever, and loads all the same: wait this long and no longer. */
const UNLOAD_MS = 500;

/**
 * Unloads and loads a model; one that is not loaded, as when a repair was cut off half-way, is only loaded. Throws a fault
 * that `hasNoRepository` knows where the server cannot.
 */
export async function heal(client: OipRestClient, model: string, signal: AbortSignal): Promise<void> {
  try {
    await client.unload(model, signal);
  } catch (error) {
    // MLServer says so of a model that is not loaded. If it is not there at all, or the path is not, so does `load`.
    if (!(error instanceof HttpFault && error.status === 404)) throw error;
  }
  const until = performance.now() + UNLOAD_MS;
  while (performance.now() < until && (await stateOf(client, model, signal)) === 'UNLOADING') {
    await sleep(POLL_MS, undefined, { signal });
  }
  await client.load(model, signal);
}

/** Undefined where the server has no index of its repository: then there is nothing to wait for. */
async function stateOf(client: OipRestClient, model: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    return await client.state(model, signal);
  } catch (error) {
    if (error instanceof HttpFault || error instanceof MillraceError) return undefined;
    throw error;
  }
}

/** Whether a failed repair says that no model can be loaded or unloaded here: no such path, or Triton's control mode. */
export const hasNoRepository = (error: unknown): boolean =>
  error instanceof HttpFault &&
  ([405, 501].includes(error.status) ||
    (error.status === 404 && !/model/i.test(error.detail)) ||
    /explicit model load/i.test(error.detail));

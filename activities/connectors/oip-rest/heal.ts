import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../../../pipelines/errors.js';
import { HttpFault } from '../http-fault.js';
import type { OipRestClient } from './client.js';

/** State changes are not announced; this is the polling interval. */
const POLL_MS = 50;
/**
 * A model whose process is dead may report UNLOADING for ever but can still be loaded: the wait ends after this time.
 */
const UNLOAD_MS = 500;

/**
 * Unloads and loads a model; one that is not loaded, e.g. after an interrupted repair, is only loaded. Throws a fault
 * that `hasNoRepository` recognises if the server supports neither.
 */
export async function heal(client: OipRestClient, model: string, signal: AbortSignal): Promise<void> {
  try {
    await client.unload(model, signal);
  } catch (error) {
    // MLServer's answer for a model that is not loaded. If the model or the path does not exist, `load` fails the same
    // way.
    if (!(error instanceof HttpFault && error.status === 404)) throw error;
  }
  const until = performance.now() + UNLOAD_MS;
  while (performance.now() < until && (await stateOf(client, model, signal)) === 'UNLOADING') {
    await sleep(POLL_MS, undefined, { signal });
  }
  await client.load(model, signal);
}

/** Undefined if the server has no repository index: then there is nothing to wait for. */
async function stateOf(client: OipRestClient, model: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    return await client.state(model, signal);
  } catch (error) {
    if (error instanceof HttpFault || error instanceof MillraceError) return undefined;
    throw error;
  }
}

/**
 * Whether a failed repair shows that this server cannot load or unload models: no such path, or Triton's control mode.
 */
export const hasNoRepository = (error: unknown): boolean =>
  error instanceof HttpFault &&
  ([405, 501].includes(error.status) ||
    (error.status === 404 && !/model/i.test(error.detail)) ||
    /explicit model load/i.test(error.detail));

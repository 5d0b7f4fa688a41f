import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError, messageOf } from '../../../pipelines/errors.js';
import { limited } from '../../../runtime/limited.js';
import type { Repository } from '../../connectors/connector.js';
import { CHANGE_MS, type SharedModels } from './shared-models.js';

/** Longest load: large weights from a slow disk take minutes. */
export const LOAD_MS = 900_000;
/** Longest wait for a server's answer about its models, which normally takes milliseconds. */
const ANSWER_MS = 5_000;
/** Interval of looks at a model that is being unloaded. */
const POLL_MS = 50;
/**
 * Longest wait for the memory of a model that is being unloaded. One whose process is dead may report for ever that it is; the next
 * model is loaded then, which the server refuses if it has no memory for it.
 */
const UNLOAD_MS = 10_000;

export interface Change {
  readonly model: string;
  readonly victims: readonly string[];
  /** For messages. */
  readonly endpoint: string;
  readonly repository: Repository;
  readonly shared: SharedModels;
  readonly closing: AbortSignal;
  readonly unloaded: (model: string) => void;
}

/**
 * Unloads the victims, one after the other, and loads the model. The workers' agreement about it is renewed meanwhile, and ended in any
 * case. Returns how long the model took to load, in milliseconds. Throws `MODEL_NOT_LOADED` if the server cannot load it, and
 * `BACKEND_UNAVAILABLE` if the server is away or does not unload a victim.
 */
export async function carryOut(change: Change): Promise<number> {
  const { model, victims, repository, shared, closing } = change;
  const renewing = setInterval(() => void shared.renew([model, ...victims]).catch(() => undefined), CHANGE_MS / 4);
  renewing.unref();
  const unloaded: string[] = [];
  const kept = () => victims.filter((victim) => !unloaded.includes(victim));
  const end = (how: { readonly loadMs?: number; readonly failure?: string }) =>
    // Without the store it ends by itself, after a while.
    shared.finish(model, { ...how, unloaded, kept: kept() }).catch(() => undefined);
  // Without the store, or after this worker stood still for longer than the agreement lasts, others may have other plans by now.
  const expectAgreed = async () => {
    if (!(await shared.renew([model, ...kept()]).catch(() => false))) throw interrupted(change);
  };
  let hasRoom = false;
  try {
    for (const victim of victims) {
      await expectAgreed();
      await unload(repository, victim, closing);
      unloaded.push(victim);
      change.unloaded(victim);
    }
    await expectAgreed();
    hasRoom = true;
    const started = performance.now();
    await limited(LOAD_MS, closing, (signal) => repository.load(model, signal));
    const loadMs = performance.now() - started;
    await end({ loadMs });
    return loadMs;
  } catch (error) {
    const failure = hasRoom ? asFailure(error, change) : withoutRoom(error, change);
    await end(failure.code === 'MODEL_NOT_LOADED' ? { failure: failure.message } : {});
    throw failure;
  } finally {
    clearInterval(renewing);
  }
}

/** What a server answers soon; one that does not is away. */
export async function answered<T>(closing: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  try {
    return await limited(ANSWER_MS, closing, work);
  } catch (error) {
    if (closing.aborted || !(error instanceof DOMException && error.name === 'TimeoutError')) throw error;
    const message = `the server has not answered within ${ANSWER_MS} ms`;
    throw new MillraceError('BACKEND_UNAVAILABLE', message, { unsent: true }, { cause: error });
  }
}

async function unload(repository: Repository, model: string, closing: AbortSignal): Promise<void> {
  await answered(closing, (signal) => repository.unload(model, signal));
  const until = performance.now() + UNLOAD_MS;
  for (;;) {
    const state = (await answered(closing, (signal) => repository.states(signal))).get(model);
    if (state === undefined) return;
    if (performance.now() >= until) {
      if (state === 'unloading') return;
      throw new MillraceError('BACKEND_ERROR', `the server does not unload ${model}: it is ${state}`);
    }
    await sleep(POLL_MS, undefined, { signal: closing });
  }
}

/** Whether the server could load the model at another time. */
const isAway = (error: unknown): boolean => error instanceof MillraceError && error.code === 'BACKEND_UNAVAILABLE';

const interrupted = ({ model, endpoint }: Change) =>
  new MillraceError(
    'BACKEND_UNAVAILABLE',
    `${model} at ${endpoint}: room for it could not be made: the state store did not answer in time`,
    {
      endpoint,
      unsent: true,
    },
  );

/** It says nothing of the model, which may be loaded at the next try. */
function withoutRoom(error: unknown, change: Change): MillraceError {
  const { model, endpoint, closing } = change;
  if (closing.aborted || isAway(error)) return asFailure(error, change);
  const message = `${model} at ${endpoint}: room for it could not be made: ${messageOf(error)}`;
  return new MillraceError('BACKEND_UNAVAILABLE', message, { endpoint, unsent: true }, { cause: error });
}

export function asFailure(
  error: unknown,
  { model, endpoint, closing }: Pick<Change, 'model' | 'endpoint' | 'closing'>,
) {
  if (closing.aborted || isAway(error)) {
    const message = error instanceof MillraceError ? error.message : `${model} at ${endpoint}: ${messageOf(error)}`;
    return new MillraceError('BACKEND_UNAVAILABLE', message, { endpoint, unsent: true }, { cause: error });
  }
  if (error instanceof MillraceError && error.code === 'MODEL_NOT_LOADED') return error;
  const text = messageOf(error);
  const message = text.startsWith(`${model} at `) ? text : `${model} at ${endpoint}: ${text}`;
  return new MillraceError('MODEL_NOT_LOADED', message, { endpoint }, { cause: error });
}

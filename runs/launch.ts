import type { Pipeline } from '../pipelines/definition/index.js';
import type { JsonObject } from '../pipelines/json.js';
import { type Caller, ownerOf } from './caller.js';
import type { RunDeps } from './deps.js';
import type { RunDocument } from './document.js';
import { type FollowedRun, followRun } from './follow.js';
import { fastPathFor, quietFor, startGuarded } from './guarded-start.js';
import type { RunOptions } from './options.js';
import { documentOfAnswered, documentOfStarted, readRun, waitForRun } from './read.js';
import { contextOf, runId, type StartedRun, startRun } from './start.js';
import { refuseTooLarge } from './start-size.js';

/** A run that is wanted: what every door asks for, in its own protocol. */
export interface Order {
  readonly pipeline: Pipeline;
  readonly caller: Caller;
  /** As the pipeline's schema makes it. */
  readonly input: JsonObject;
  readonly idempotencyKey?: string | undefined;
  readonly options?: RunOptions | undefined;
}

export interface Launched {
  readonly run: StartedRun;
  /** The run as it is when it has ended or the wait is over. */
  readonly document: RunDocument;
}

export interface Wait {
  /** Longest wait, in milliseconds; the run goes on after it. */
  readonly waitMs: number;
  /** Aborts when the caller has left; the run goes on. */
  readonly gone: AbortSignal;
  /** Called as soon as the run has started. */
  readonly started?: ((run: StartedRun) => void) | undefined;
}

/** Starts a run and waits for its end. */
export async function launch(deps: RunDeps, order: Order, wait: Wait): Promise<Launched> {
  const leave = wait.waitMs > 0 ? deps.places.take(order.caller.tenant) : () => undefined;
  try {
    return await launchAndWait(deps, order, wait);
  } finally {
    leave();
  }
}

async function launchAndWait(deps: RunDeps, order: Order, { waitMs, gone, started }: Wait): Promise<Launched> {
  const { run, answered, guarded, close, ended } = await start(deps, order, {
    answer: waitMs > 0,
    events: waitMs === 0,
  });
  started?.(run);
  const waiting = AbortSignal.any([gone, close.signal]);
  const documents = answered !== undefined ? [answered] : [];
  const left = guarded ? quietFor(waitMs, waiting) : Promise.resolve(waitMs);
  const settled = left.then((ms) => settle(deps, run, order, ms, waiting));
  const document = await Promise.race([settled, ...documents]).finally(() => close.abort());
  if (document.status !== 'running') ended();
  return { run, document };
}

/** Starts a run and follows it: its events as they come, and its document when it has ended. */
export async function launchFollowed(deps: RunDeps, order: Order, gone: AbortSignal): Promise<FollowedRun> {
  const leave = deps.places.take(order.caller.tenant);
  const { run, answered, guarded, close, ended } = await start(deps, order, { answer: true, events: true }).catch(
    (error: unknown) => {
      leave();
      throw error;
    },
  );
  // Also where the events are never asked for: the client has left before.
  const stop = () => {
    close.abort();
    leave();
  };
  gone.addEventListener('abort', stop, { once: true });
  if (gone.aborted) stop();
  async function* events(): FollowedRun['events'] {
    try {
      const of = { id: run.id, caller: order.caller };
      for await (const each of followRun(deps, of, { gone, answered, guarded })) {
        if ('document' in each) ended();
        yield each;
      }
    } finally {
      gone.removeEventListener('abort', stop);
      stop();
    }
  }
  return { run, events: events() };
}

interface Started {
  readonly run: StartedRun;
  /** Resolves when the result comes ahead of Temporal's record of it; stays open otherwise. */
  readonly answered?: Promise<RunDocument>;
  /** A fast host runs it: its end comes from there first. */
  readonly guarded: boolean;
  /** To be aborted when nobody waits any more. */
  readonly close: AbortController;
  /** To be called when the run is known to have ended. */
  ended(): void;
}

async function start(
  deps: RunDeps,
  { pipeline, caller, input, idempotencyKey, options }: Order,
  wanted: { answer: boolean; events: boolean },
): Promise<Started> {
  const { tenant } = caller;
  const id = runId({ pipeline, tenant, idempotencyKey });
  const owner = ownerOf(caller);
  const request = { id, pipeline, tenant, owner, input, idempotencyKey, options, events: wanted.events };
  refuseTooLarge(input, contextOf(deps, request));
  const applicant = { id, pipeline, caller, priority: options?.priority, repeated: idempotencyKey !== undefined };
  const ended = (await deps.admission?.admit(applicant)) ?? (() => undefined);
  const close = new AbortController();
  const answers = wanted.answer ? deps.answers : undefined;
  // Before the run starts: it may be answered before Temporal has told us that it has started.
  const answer = answers?.expect(id, close.signal);
  try {
    const asked = { ...request, answerTo: answers?.channel };
    const fast = fastPathFor(deps, asked);
    const run = await (fast ? startGuarded(deps, fast, asked) : startRun(deps, asked));
    const answered = answer?.then((result) => documentOfAnswered(deps, run, input, result));
    const guarded = fast !== undefined && !run.replayed;
    return { run, guarded, close, ended, ...(answered !== undefined && { answered }) };
  } catch (error) {
    close.abort();
    throw error;
  }
}

/** The run as it is when it has ended or the wait is over. */
async function settle(
  deps: RunDeps,
  run: StartedRun,
  { caller, input }: Order,
  waitMs: number,
  gone: AbortSignal,
): Promise<RunDocument> {
  const end = await waitForRun(deps, { id: run.id, tenant: caller.tenant }, waitMs, gone);
  if (end?.document) return end.document;
  if (!run.replayed && (waitMs === 0 || gone.aborted)) return documentOfStarted(deps, run, input);
  try {
    return (await readRun(deps, run.id, caller)).document;
  } catch (error) {
    // The run exists: its id must reach the caller, whatever Temporal does now.
    deps.logger.warn({ runId: run.id, err: error }, 'a started run cannot be read');
    const document = documentOfStarted(deps, run, input);
    return end ? { ...document, ...end.outcome } : document;
  }
}

import { createHash } from 'node:crypto';
import { errorRow, isErrorCode, MillraceError } from '../pipelines/errors.js';
import type { JsonObject } from '../pipelines/json.js';
import { jsonHash } from '../pipelines/plan/hash.js';
import { ownerOf } from './caller.js';
import type { RunDeps } from './deps.js';
import { onLeaveOf } from './leaving.js';
import type { RunMemo } from './memo.js';
import { fromTemporal, TEMPORAL_DEADLINE_MS } from './orchestrator.js';
import type { Order } from './order.js';
import { outcomeOf } from './outcome.js';
import { runId } from './prepare.js';
import { findRun, resumptionThere } from './read.js';
import { resumeRun } from './resume.js';

/**
 * How long a request is known again as the retry of an earlier one, in milliseconds. OpenAI's clients wait ten minutes
 * for a response and retry twice by default.
 */
export const RETRY_WINDOW_MS = 3_600_000;

/** How far the clocks of two gateways may differ, in milliseconds. */
const CLOCKS_MS = 60_000;

/** Most resumptions of a run that are followed to the latest. */
const MOST_RESUMPTIONS = 10;

/** The id that a request's run gets, and whose it may be already. */
export interface Claim {
  readonly id: string;
  /** The run may exist: the request then gets it. */
  readonly repeated: boolean;
  /** Whether an equal request has a run, which a retry of this one gets if this one gets none. To be asked once this one is refused. Absent: no. */
  readonly isLater?: (() => Promise<boolean>) | undefined;
  /** The run exists. */
  readonly there?: RunMemo;
  /** Makes it the latest run of equal requests in place of another one. Called when it may start: retries must not be led to a run that is refused. */
  readonly keep?: (() => Promise<unknown>) | undefined;
  /** For a first request: what to use if an equal request has taken the id. */
  readonly another?: () => Pick<Claim, 'id' | 'keep'>;
}

/**
 * The id of the run of a request. With an idempotency key it is derived from the key. Without one, if the run outlives
 * its caller and the request may be retried, it is derived from the tenant, the owner, the pipeline, the input and the
 * hour, so that Temporal keeps a retry from starting a second run even if the state store has lost everything. A retry
 * (`retry` above 0) gets the run of the latest equal request of the last hour that has one; the state store has that by what was sent too, of which
 * another version of the pipeline may make another input. An equal request that is no retry gets a run of its own, under an id that the state store
 * keeps for its retries once it may start, unless its client has left: then its retry may have been served before it, by another gateway or while
 * this one stood still.
 *
 * @param gone aborts when the client has left
 */
export async function claimOf(deps: RunDeps, order: Order, gone: AbortSignal): Promise<Claim> {
  const { pipeline, caller, idempotencyKey, retry } = order;
  const { tenant } = caller;
  if (idempotencyKey !== undefined) return { id: runId({ pipeline, tenant, idempotencyKey }), repeated: true };
  const fresh = () => runId({ pipeline, tenant });
  if (retry === undefined || onLeaveOf(order) === 'cancel') return { id: fresh(), repeated: false };
  const now = Date.now();
  if (retry > 0) return await earlier(deps, order, now);
  const digest = digestOf(order);
  const id = derivedId(order, digest, now);
  const another = () => {
    const own = fresh();
    const keep = async () => {
      if (gone.aborted)
        throw new MillraceError(
          'REQUEST_ABORTED',
          'the client left before its run had started; an equal request has one',
        );
      const kept = deps.latest?.replace(id, own, RETRY_WINDOW_MS).catch(() => undefined);
      await Promise.all([kept, keepBySent(deps, order, own, 'replace', now)]);
    };
    return { id: own, keep };
  };
  // While the state store is away, Temporal tells that the id is taken.
  const isFirst = await deps.latest?.claim(id, id, RETRY_WINDOW_MS).catch(() => undefined);
  const isLater = async () => {
    const kept = await keptIds(deps, order, digest, now);
    // What this request has kept itself.
    if (isFirst) kept.delete(id);
    return await isOneThere(deps, order, kept);
  };
  if (isFirst === false) return { ...another(), repeated: false, isLater };
  // Not while that is unknown: a request that comes after another one may get no run, and retries of the other one would get this id.
  const isTaken = isFirst && (await keepBySent(deps, order, id, 'claim', now)) === false;
  const keep = isTaken ? () => keepBySent(deps, order, id, 'replace', now) : undefined;
  return { id, repeated: false, isLater, keep, another };
}

async function earlier(deps: RunDeps, order: Order, now: number): Promise<Claim> {
  const own = digestOf(order);
  const kept = await keptIds(deps, order, own, now);
  // The run of the latest may never have started, and that of which this is the retry has.
  for (const id of kept) {
    const run = await existing(deps, order, id);
    if (run) return run;
  }
  for (const id of new Set(hoursOf(now).map((time) => derivedId(order, own, time)))) {
    const run = kept.has(id) ? undefined : await existing(deps, order, id);
    if (run?.there && Date.parse(run.there.createdAt) >= now - RETRY_WINDOW_MS) return run;
  }
  const [latest] = kept;
  if (latest !== undefined) return { id: latest, repeated: true };
  const id = derivedId(order, own, now);
  // A request that has come meanwhile is later than the one of which this is a retry.
  await keepBySent(deps, order, id, 'claim', now);
  return { id, repeated: true };
}

/**
 * Times in the hours in which equal requests of the last hour may have been kept. The latest first: only a gateway whose clock is ahead, and
 * that in the last minute, has kept one in the next hour.
 */
const hoursOf = (now: number): readonly number[] => [now + CLOCKS_MS, now, now - RETRY_WINDOW_MS];

/** The ids that the state store has for equal requests, whether their runs have started or not; none while it is away. */
async function keptIds({ latest }: RunDeps, order: Order, own: string, now: number): Promise<Set<string>> {
  const sent = sentDigest(order);
  // What was sent is the request's own in every hour; what is made of it is another client's too, who has sent it in other words.
  const digests = sent === undefined ? [own] : [sent, own];
  const names = new Set(digests.flatMap((digest) => hoursOf(now).map((time) => derivedId(order, digest, time))));
  const found = await Promise.all([...names].map((name) => latest?.latest(name).catch(() => undefined)));
  return new Set(found.filter((id) => id !== undefined));
}

/** Whether one of the runs has started; no, while that is unknown. Unlike `existing` it changes nothing. */
async function isOneThere(deps: RunDeps, { caller }: Order, ids: ReadonlySet<string>): Promise<boolean> {
  const yes = async (id: string) => (await findRun(deps, id, caller).catch(() => undefined)) !== undefined;
  return (await Promise.all([...ids].map(yes))).includes(true);
}

/**
 * Keeps the id of a request's run by what was sent, for retries of which another version of the pipeline makes another input.
 * @param how `claim`: unless there is one; false then
 */
async function keepBySent(
  { latest }: RunDeps,
  order: Order,
  id: string,
  how: 'claim' | 'replace',
  now: number,
): Promise<unknown> {
  const digest = sentDigest(order);
  if (digest === undefined) return undefined;
  return await latest?.[how](derivedId(order, digest, now), id, RETRY_WINDOW_MS).catch(() => undefined);
}

/** The run, if it has started; in place of a run that has failed, the one that resumes it. */
async function existing(deps: RunDeps, { caller }: Order, id: string): Promise<Claim | undefined> {
  let last = id;
  try {
    for (let i = 0; i < MOST_RESUMPTIONS; i++) {
      const { description, memo, running, cancelledAt } = await findRun(deps, last, caller);
      const claim: Claim = { id: last, repeated: true, there: memo };
      if (running || cancelledAt !== undefined || description.status.name === 'COMPLETED') return claim;
      const resumption = await asked(deps, last, () => resumptionThere(deps.temporal, last, memo));
      const next = resumption?.id ?? (await resumed());
      if (next === undefined) return claim;
      last = next;
    }
    return undefined;
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'RUN_NOT_FOUND') return undefined;
    throw error;
  }

  /** Completed calls are not repeated; a run that cannot be resumed keeps its failure. */
  async function resumed(): Promise<string | undefined> {
    const outcome = await asked(deps, last, () => outcomeOf(deps.temporal.workflow.getHandle(last)));
    const code = outcome?.error?.code;
    if (outcome?.status !== 'failed' || !isErrorCode(code) || errorRow(code).retry === 'never') return undefined;
    try {
      const next = await resumeRun(deps, last, caller, { repeat: false });
      return next.started ? next.started.id : next.there;
    } catch (error) {
      if (error instanceof MillraceError && NOT_RESUMED.has(error.code)) return undefined;
      throw error;
    }
  }
}

const NOT_RESUMED: ReadonlySet<string> = new Set(['NOT_RESUMABLE', 'RECORD_INCOMPLETE', 'INPUT_TOO_LARGE']);

async function asked<T>({ temporal }: RunDeps, id: string, question: () => Promise<T>): Promise<T> {
  try {
    return await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, question);
  } catch (error) {
    throw fromTemporal(error, id);
  }
}

/** The same for requests of one owner in which the same was sent, whatever this version of the pipeline makes of it. */
function sentDigest({ pipeline, caller, sent, options, asks }: Order): string | undefined {
  if (sent === undefined) return undefined;
  const owner = ownerOf(caller) ?? null;
  return jsonHash({ tenant: caller.tenant, owner, pipeline: pipeline.name, sent, ...(asks ?? options) } as JsonObject);
}

/** The same for equal requests of one owner. */
function digestOf({ pipeline, caller, input, options = {} }: Order): string {
  const owner = ownerOf(caller) ?? null;
  return jsonHash({ tenant: caller.tenant, owner, pipeline: pipeline.name, input, ...options } as JsonObject);
}

function derivedId({ pipeline }: Order, digest: string, now: number): string {
  const hour = Math.floor(now / RETRY_WINDOW_MS);
  const hash = createHash('sha256')
    .update(JSON.stringify(['retry', digest, hour]))
    .digest('hex');
  return `${pipeline.name}-${hash.slice(0, 32)}`;
}

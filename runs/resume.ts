import { bytesIn } from '../pipelines/bytes-in.js';
import { MillraceError } from '../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../pipelines/json.js';
import { type RunContext, resumptionOf, type StageRecord } from '../pipelines/run/index.js';
import type { Caller } from './caller.js';
import type { RunDeps } from './deps.js';
import { decisionsOf, endedStages } from './ended-stages.js';
import { lackingIn } from './lacking.js';
import { notesIn } from './notes.js';
import { fromTemporal, TEMPORAL_DEADLINE_MS } from './orchestrator.js';
import { outcomeOf } from './outcome.js';
import { pacedRuns } from './paced-runs.js';
import { prepareRun, type RunRequest } from './prepare.js';
import { argumentsOf, type FoundRun, findRun, resumptionThere, stagesOf } from './read.js';
import { notEnded } from './recorded.js';
import { BACKSTOP_MS, type StartedRun, startRun } from './start.js';

export interface Resumption {
  /** Whether steps that have ended may be repeated if they are not in the record. */
  readonly repeat: boolean;
}

/** The new run: just started, with its input, or the one that existed already. */
export type Resumed =
  | { readonly started: StartedRun; readonly input: JsonObject }
  | { readonly there: string; readonly started?: never };

/**
 * Starts a run that resumes one that failed, was cancelled or timed out: with the same input, plan, options and receivers, and a
 * deadline of its own. Results of completed calls come from the record. Its id is derived from the first run's id, so there is one such
 * run however often it is requested. Throws `RUN_NOT_ENDED`, `ORCHESTRATOR_UNAVAILABLE` while Temporal does not show the end of one whose
 * result has been sent, `NOT_RESUMABLE`, also for one that has been erased and that Temporal still shows, and `RECORD_INCOMPLETE`.
 * It is read at the pace of large runs: waits and throws as `readPaced` does.
 * @param gone aborts when the client has left, which ends the wait
 */
export async function resumeRun(
  deps: RunDeps,
  id: string,
  caller: Caller,
  wish: Resumption,
  gone?: AbortSignal,
): Promise<Resumed> {
  const found = await findRun(deps, id, caller);
  const { description, memo, running, cancelledAt } = found;
  if (running) throw await notEnded(deps, id, 'the run is still running; cancel it first, or wait for it to end');
  if (cancelledAt !== undefined)
    throw new MillraceError('NOT_RESUMABLE', 'the run was cancelled before it was started: start another one');
  if (description.status.name === 'COMPLETED') throw new MillraceError('NOT_RESUMABLE', 'the run has succeeded');
  const there = await answerOf(deps, id, () => resumptionThere(deps.temporal, id, memo));
  if (there !== undefined) return { there: there.id };
  // No run has this id: how large its document is remains known.
  const reading = pacedRuns(deps).reading(`${id} resumption`, caller);
  let bytes = 0;
  try {
    await reading.turn(false, gone);
    return await startNext(deps, id, caller, wish, found, (more) => {
      bytes += more;
    });
  } finally {
    if (bytes > 0) reading.count(bytes, false);
    reading.end();
  }
}

/** @param sent called with the bytes of what Temporal and the state store have sent of the run */
async function startNext(
  deps: RunDeps,
  id: string,
  caller: Caller,
  wish: Resumption,
  { description, memo }: FoundRun,
  sent: (bytes: number) => void,
): Promise<Resumed> {
  const { input, context } = await begunWith(deps, id, description.runId, sent);
  const notes = await answerOf(deps, id, () => notesIn(deps.temporal, id, description, sent));
  const stages = await stagesThere(deps, id);
  // Two bytes for a character in memory are one in a text.
  sent(bytesIn(stages as unknown as Json | undefined) / 2);
  const next = resumptionOf(id);
  const { plan, priority, outputs, sessionsOf, keyTag } = context;
  // The run has had those of the runs before it, for places that it may not have come to.
  const decisions = { ...context.decisions, ...decisionsOf(stages ?? []) };
  const request: RunRequest = {
    id: next,
    // The definition may have changed or be gone: the new run uses the plan of the old one.
    pipeline: { name: plan.name, description: '', plan },
    tenant: memo.tenant,
    input,
    trace: caller.trace,
    notes,
    options: { ...(outputs && { outputs }), ...(priority && { priority }) },
    events: true,
    keyTag,
    resumes: {
      id,
      fingerprint: memo.fingerprint,
      decisions,
      ...(sessionsOf !== undefined && { sessionsOf }),
      ...(memo.webhooks && { webhooks: memo.webhooks }),
    },
  };
  const prepared = prepareRun(deps, request);
  const { placement, decisions: kept = {} } = prepared.context;
  const left = Object.keys(decisions).length - Object.keys(kept).length;
  const applicant = { id: next, pipeline: request.pipeline, placement, caller, priority, repeated: true };
  // Before it has a slot: to refuse it would free that, also where another request, which permits repeats, has started the run meanwhile.
  const hold = await checkRecord(deps, id, {
    plan,
    stages,
    endedAt: description.closeTime,
    createdAt: memo.createdAt,
    left,
    wish,
    sent,
  });
  const ended = await deps.admission?.admit(applicant);
  try {
    await hold();
    const started = await startRun(deps, prepared);
    if (started.replayed) return { there: next };
    deps.starts.count(plan.name, priority);
    return { started, input };
  } catch (error) {
    ended?.('refused');
    throw error;
  }
}

/** The arguments of the run's workflow. */
async function begunWith(
  deps: RunDeps,
  id: string,
  runId: string,
  sent: (bytes: number) => void,
): Promise<{ readonly input: JsonObject; readonly context: RunContext }> {
  const [input = null, context = null]: readonly Json[] = await answerOf(deps, id, () =>
    argumentsOf(deps.temporal, id, runId, undefined, { sent }),
  );
  if (!isJsonObject(input) || !isJsonObject(context) || !isJsonObject(context.plan ?? null)) {
    throw new MillraceError('NOT_RESUMABLE', 'the run was not started by a gateway, so its input is not recorded');
  }
  return { input, context: context as unknown as RunContext };
}

/** The run's stage table; undefined if it is not available. */
async function stagesThere(deps: RunDeps, id: string): Promise<readonly StageRecord[] | undefined> {
  const outcome = await answerOf(deps, id, () => outcomeOf(deps.temporal.workflow.getHandle(id)));
  // A cancelled run ends without its table; its workflow can still be queried, which takes a worker.
  return outcome?.stages ?? (await stagesOf(deps.temporal, id));
}

/**
 * Checks the records for the new run, and keeps those of the runs before. Throws `NOT_RESUMABLE` if that of the run has been erased, and
 * `RECORD_INCOMPLETE` if steps that have ended may be missing in them, or in what the new run starts with.
 * @returns keeps that of the run; throws `NOT_RESUMABLE` if it has been erased since
 */
async function checkRecord(
  deps: RunDeps,
  id: string,
  {
    plan,
    stages,
    endedAt,
    createdAt,
    left,
    wish: { repeat },
    sent,
  }: {
    readonly plan: RunContext['plan'];
    readonly stages: readonly StageRecord[] | undefined;
    readonly endedAt: Date | undefined;
    readonly createdAt: string;
    /** Number of decisions for which the new run has no room. */
    readonly left: number;
    readonly wish: Resumption;
    readonly sent: (bytes: number) => void;
  },
): Promise<() => Promise<void>> {
  const { records } = deps;
  if (!records) throw new MillraceError('NOT_RESUMABLE', 'this gateway has no record of runs');
  const runMs = plan.deadlineMs + BACKSTOP_MS;
  const record = await records.summary(id, Date.now() - Date.parse(createdAt), sent);
  if (record.erased) throw erased();
  const inTable = stages
    ? lackingIn({ plan, stages, endedAt }, record, records.keptMs ?? Number.POSITIVE_INFINITY)
    : ['any stage: the run has no stage table, and no worker could be queried for it'];
  // What the run has not come to is in the records of the runs before it.
  const gone = await records.holdEarlier(id, runMs);
  const lost = [...gone, ...(record.forgotten ? [resumptionOf(id)] : [])];
  const lacking = [...inTable, ...lost.map((run) => `any step of ${run}: its record is gone`)];
  if (left > 0) lacking.push(`${left} decisions, which have no room beside the input and the plan`);
  if (lacking.length > 0 && !repeat) {
    const message = `these steps may have ended and would be repeated: ${lacking.join(', ')}`;
    throw new MillraceError('RECORD_INCOMPLETE', message, {
      fields: [{ field: 'repeat', message: 'set it to true to repeat these steps' }],
    });
  }
  const before = { ended: endedStages(plan, stages ?? []), repeat };
  return async () => {
    if (!(await records.hold(id, before, runMs, Date.now() - Date.parse(createdAt)))) throw erased();
  };
}

/** Temporal removes a history some time after the record is gone: resumed by its history alone, the run would repeat what it has done. */
const erased = (): MillraceError => new MillraceError('NOT_RESUMABLE', 'the run has been erased: start another one');

async function answerOf<T>({ temporal }: RunDeps, id: string, question: () => Promise<T>): Promise<T> {
  try {
    return await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, question);
  } catch (error) {
    throw fromTemporal(error, id);
  }
}

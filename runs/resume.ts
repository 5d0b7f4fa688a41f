import { MillraceError } from '../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../pipelines/json.js';
import { type RunContext, resumptionOf, type StageRecord } from '../pipelines/run/index.js';
import type { RecordSummary } from '../stores/records/index.js';
import type { Caller } from './caller.js';
import type { RunDeps } from './deps.js';
import { decisionsOf, endedStages } from './ended-stages.js';
import { fromTemporal, TEMPORAL_DEADLINE_MS } from './orchestrator.js';
import { outcomeOf } from './outcome.js';
import { prepareRun, type RunRequest } from './prepare.js';
import { argumentsOf, findRun, resumptionThere, stagesOf } from './read.js';
import { BACKSTOP_MS, type StartedRun, startRun } from './start.js';

export interface Resumption {
  /** Steps that have ended and of which nothing is kept may happen again. */
  readonly repeat: boolean;
}

/** The run that goes on: just started, with what it was given, or there already. */
export type Resumed =
  | { readonly started: StartedRun; readonly input: JsonObject }
  | { readonly there: string; readonly started?: never };

/**
 * Starts the run that goes on where a run has failed, was cancelled or has run out of time: with its input, plan, options and
 * receivers, and a deadline of its own. What has ended there is taken from the record. There is one such run, whoever asks and
 * how often: its id follows from the first one's. Throws `RUN_NOT_ENDED`, `NOT_RESUMABLE` and `RECORD_INCOMPLETE`.
 */
export async function resumeRun(deps: RunDeps, id: string, caller: Caller, wish: Resumption): Promise<Resumed> {
  const { description, memo, running } = await findRun(deps, id, caller);
  if (running)
    throw new MillraceError('RUN_NOT_ENDED', 'the run is still running; cancel it first, or wait for it to end');
  if (description.status.name === 'COMPLETED') throw new MillraceError('NOT_RESUMABLE', 'the run has succeeded');
  const there = await asked(deps, id, () => resumptionThere(deps.temporal, id));
  if (there !== undefined) return { there };
  const { input, context } = await begunWith(deps, id, description.runId);
  const stages = await stagesThere(deps, id);
  const next = resumptionOf(id);
  const { plan, priority, outputs, sessionsOf } = context;
  const request: RunRequest = {
    id: next,
    // Its own definition may have changed since, or be gone: the run goes on by the plan that it has.
    pipeline: { name: plan.name, description: '', plan },
    tenant: memo.tenant,
    input,
    options: { ...(outputs && { outputs }), ...(priority && { priority }) },
    events: true,
    resumes: {
      id,
      fingerprint: memo.fingerprint,
      decisions: decisionsOf(stages ?? []),
      ...(sessionsOf !== undefined && { sessionsOf }),
      ...(memo.webhooks && { webhooks: memo.webhooks }),
    },
  };
  const prepared = prepareRun(deps, request);
  const { placement } = prepared.context;
  const applicant = { id: next, pipeline: request.pipeline, placement, caller, priority, repeated: true };
  const ended = await deps.admission?.admit(applicant);
  try {
    await holdRecord(deps, id, { plan, stages, wish });
    const started = await startRun(deps, prepared);
    return started.replayed ? { there: next } : { started, input };
  } catch (error) {
    ended?.();
    throw error;
  }
}

/** What the run was started with. */
async function begunWith(
  deps: RunDeps,
  id: string,
  runId: string,
): Promise<{ readonly input: JsonObject; readonly context: RunContext }> {
  const [input = null, context = null]: readonly Json[] = await asked(deps, id, () =>
    argumentsOf(deps.temporal, id, runId),
  );
  if (!isJsonObject(input) || !isJsonObject(context) || !isJsonObject(context.plan ?? null)) {
    throw new MillraceError('NOT_RESUMABLE', 'the run was not started by a gateway: what it was given cannot be read');
  }
  return { input, context: context as unknown as RunContext };
}

/** How far its stages came; undefined where nobody can say. */
async function stagesThere(deps: RunDeps, id: string): Promise<readonly StageRecord[] | undefined> {
  const outcome = await asked(deps, id, () => outcomeOf(deps.temporal.workflow.getHandle(id)));
  // A cancelled run ends without its table; its workflow can still be asked, which takes a worker.
  return outcome?.stages ?? (await stagesOf(deps.temporal, id));
}

/** Keeps the record for the run that goes on. Throws `RECORD_INCOMPLETE` where steps that have ended are not in it. */
async function holdRecord(
  { records }: RunDeps,
  id: string,
  {
    plan,
    stages,
    wish: { repeat },
  }: {
    readonly plan: RunContext['plan'];
    readonly stages: readonly StageRecord[] | undefined;
    readonly wish: Resumption;
  },
): Promise<void> {
  if (!records) throw new MillraceError('NOT_RESUMABLE', 'this gateway has no record of runs');
  const lacking = stages
    ? lacks(stages, await records.summary(id))
    : ['any stage: the run has no stage table, and no worker could be queried for it'];
  if (lacking.length > 0 && !repeat) {
    const message = `what may have ended and would happen again: ${lacking.join(', ')}`;
    throw new MillraceError('RECORD_INCOMPLETE', message, {
      fields: [{ field: 'repeat', message: 'true lets it happen again' }],
    });
  }
  await records.hold(id, { ended: endedStages(plan, stages ?? []), repeat }, plan.deadlineMs + BACKSTOP_MS);
}

/** Steps that no call of the record stands for: people's decisions are told by the table, child runs have calls of their own. */
const NO_CALLS: ReadonlySet<string> = new Set(['approve', 'pipeline']);

/** The stages of which the run knows more ends than the record has. */
function lacks(stages: readonly StageRecord[], { succeeded, gaps }: RecordSummary): string[] {
  const lacking = stages.flatMap(({ stage, kind, status, count }) => {
    if (NO_CALLS.has(kind)) return [];
    const done = count?.done ?? (status === 'done' ? 1 : 0);
    // An agent is as many calls as it has turns and tools.
    const kept = succeeded.get(stage) ?? 0;
    const known = kind === 'agent' ? Math.min(kept, 1) * done : kept;
    return known < done ? [`${stage} (${known} of ${done} kept)`] : [];
  });
  return gaps > 0 && lacking.length === 0 ? [`${gaps} calls that could not be kept`] : lacking;
}

async function asked<T>({ temporal }: RunDeps, id: string, question: () => Promise<T>): Promise<T> {
  try {
    return await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, question);
  } catch (error) {
    throw fromTemporal(error, id);
  }
}

import type { RecordSummary } from '../../activities/records/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { type RunContext, resumptionOf, type StageRecord } from '../../pipelines/plan/index.js';
import type { Caller } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { fromTemporal, TEMPORAL_DEADLINE_MS } from './orchestrator.js';
import { argumentsOf, findRun, stagesOf } from './run-read.js';
import { outcomeOf } from './run-outcome.js';
import { type StartedRun, startRun } from './run-start.js';

export interface Resumption {
  /** Steps that have ended and of which nothing is kept may happen again. */
  readonly repeat: boolean;
}

/**
 * Starts the run that goes on where a run has failed, was cancelled or has run out of time: with its input, plan, options and
 * receivers, and a deadline of its own. What has ended there is taken from the record. There is one such run, whoever asks and
 * how often: its id follows from the first one's. Throws `RUN_NOT_ENDED`, `NOT_RESUMABLE` and `RECORD_INCOMPLETE`.
 */
export async function resumeRun(
  deps: GatewayDeps,
  id: string,
  caller: Caller,
  { repeat }: Resumption,
): Promise<{ readonly run: StartedRun; readonly input: JsonObject }> {
  const { description, memo, running } = await findRun(deps, id, caller);
  if (running) throw new MillraceError('RUN_NOT_ENDED', 'the run goes on; cancel it first, or wait for its end');
  if (description.status.name === 'COMPLETED') throw new MillraceError('NOT_RESUMABLE', 'the run has succeeded');
  const { input, context } = await begunWith(deps, id, description.runId);
  const next = resumptionOf(id);
  const { plan, priority, outputs } = context;
  // Its own definition may have changed since, or be gone: the run goes on by the plan that it has.
  const pipeline = { name: plan.name, description: '', plan };
  const release = await deps.admission?.admit({ id: next, pipeline, caller, priority, repeated: true });
  try {
    await holdRecord(deps, id, repeat);
    const options = { ...(outputs && { outputs }), ...(priority && { priority }) };
    const run = await startRun(deps, {
      id: next,
      pipeline,
      tenant: memo.tenant,
      input,
      options,
      events: true,
      resumes: { id, fingerprint: memo.fingerprint, ...(memo.webhooks && { webhooks: memo.webhooks }) },
    });
    return { run, input };
  } catch (error) {
    release?.();
    throw error;
  }
}

/** What the run was started with. */
async function begunWith(
  { temporal }: GatewayDeps,
  id: string,
  runId: string,
): Promise<{ readonly input: JsonObject; readonly context: RunContext }> {
  let given: readonly Json[];
  try {
    given = await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, () => argumentsOf(temporal, id, runId));
  } catch (error) {
    throw fromTemporal(error, id);
  }
  const [input = null, context = null] = given;
  if (!isJsonObject(input) || !isJsonObject(context) || !isJsonObject(context.plan ?? null)) {
    throw new MillraceError('NOT_RESUMABLE', 'the run was not started by a gateway: what it was given cannot be read');
  }
  return { input, context: context as unknown as RunContext };
}

/** Keeps the record for the run that goes on. Throws `RECORD_INCOMPLETE` where steps that have ended are not in it. */
async function holdRecord({ records, temporal }: GatewayDeps, id: string, repeat: boolean): Promise<void> {
  if (!records) throw new MillraceError('NOT_RESUMABLE', 'this gateway has no record of runs');
  const handle = temporal.workflow.getHandle(id);
  const [summary, outcome] = await Promise.all([
    records.summary(id),
    temporal
      .withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, () => outcomeOf(handle))
      .catch((error: unknown) => {
        throw fromTemporal(error, id);
      }),
  ]);
  // A cancelled run ends without its table; its workflow can still be asked, which takes a worker.
  const stages = outcome?.stages ?? (await stagesOf(temporal, handle));
  const unknown = stages === undefined && summary.succeeded.size === 0;
  const lacking = unknown ? ['whatever it has done, which is not known'] : lacks(stages ?? [], summary);
  if (lacking.length > 0 && !repeat) {
    const message = `what has ended and would happen again: ${lacking.join(', ')}`;
    throw new MillraceError('RECORD_INCOMPLETE', message, {
      fields: [{ field: 'repeat', message: 'true lets it happen again' }],
    });
  }
  await records.hold(id);
}

/** Steps that no call of the record stands for: people's decisions are asked for again, child runs have calls of their own. */
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

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { LONGEST_TIMER_MS } from '../pipelines/duration.js';
import { messageOf } from '../pipelines/errors.js';
import { allSteps, isStage, type Plan } from '../pipelines/plan/index.js';
import type { SegmentOutcome } from '../pipelines/run/index.js';
import { changesElsewhere } from '../pipelines/stages/index.js';
import type { FastJob } from '../stores/jobs/index.js';
import type { FastPath, RunDeps } from './deps.js';
import { contextOf, type RunRequest, type StartedRun, startRun, tellGuardian } from './start.js';
import { webhookTargets } from './webhooks/targets.js';

/**
 * How long a job may lie untaken before its guardian begins at once, in milliseconds: a worker that has room takes one
 * within a millisecond, and a caller should not notice that none has.
 */
const TAKEN_MS = 150;

/**
 * How long nobody asks Temporal for the end of a run that a fast host runs, in milliseconds: it comes from there first, and a
 * question that Temporal holds open costs its server as much as a signal.
 */
const QUIET_MS = 1_000;

/** Resolves when it is time to ask Temporal for the end of a guarded run, or nobody waits any more, with what is left of `ms`. */
export async function quietFor(ms: number, signal: AbortSignal): Promise<number> {
  const quiet = Math.min(ms, QUIET_MS);
  await sleep(quiet, undefined, { signal }).catch(() => undefined);
  return ms - quiet;
}

/**
 * The way of a run past Temporal: where it is interactive, somebody waits for it, and it is one segment. One whose end others
 * are told of is started by its delivery.
 */
export function fastPathFor(
  { fast, answers, webhooks }: RunDeps,
  { pipeline, tenant, options, answerTo }: RunRequest,
): FastPath | undefined {
  if (!fast || !answers || answerTo === undefined || options?.priority !== 'interactive') return undefined;
  const { plan } = pipeline;
  if (!fast.isOneSegment(plan, options.outputs)) return undefined;
  const targets = webhookTargets(webhooks, { tenant, pipeline: plan.name, webhook: options.webhook });
  return targets.length === 0 ? fast : undefined;
}

/**
 * Starts a run that a fast host runs: its workflow as the guardian, with a delay, and the job for whichever worker takes it
 * first. A run that changes nothing elsewhere is handed out while Temporal is told of it; its caller hears nothing of it before
 * Temporal has it. Throws as `startRun` does.
 */
export async function startGuarded(deps: RunDeps, fast: FastPath, request: RunRequest): Promise<StartedRun> {
  const guarded = { ...request, guarded: randomUUID() };
  const job: FastJob = { id: request.id, input: request.input, context: contextOf(deps, guarded), at: Date.now() };
  const over = new AbortController();
  // Before it is handed out: it may have ended before Temporal has told us that it has started.
  const ended = deps.answers?.outcome(job.id, over.signal) ?? never();
  const together = request.idempotencyKey === undefined && changesNothing(job.context.plan);
  const put = () => fast.jobs.put(job);
  const early = together ? put() : undefined;
  try {
    const run = await startRun(deps, guarded);
    if (run.replayed) over.abort();
    else void guard(deps, fast, { request: guarded, job, ended, put: early ?? put() }).finally(() => over.abort());
    return run;
  } catch (error) {
    over.abort();
    void early?.then((lies) => (lies === undefined ? undefined : fast.jobs.revoke(job, lies).catch(() => undefined)));
    throw error;
  }
}

interface Guarded {
  readonly request: RunRequest;
  readonly job: FastJob;
  readonly ended: Promise<SegmentOutcome | null>;
  /** The job as it lies in Redis; undefined where it was not handed out. */
  readonly put: Promise<string | undefined>;
}

/** Tells the guardian what the fast host has done. Should this process end before, the guardian's delay does it. Never rejects. */
async function guard(deps: RunDeps, fast: FastPath, { request, job, ended, put }: Guarded): Promise<void> {
  const { id } = job;
  let deadline: NodeJS.Timeout | undefined;
  const over = new AbortController();
  const gone = new Promise<undefined>((resolve) => {
    deadline = setTimeout(resolve, Math.min(request.pipeline.plan.deadlineMs, LONGEST_TIMER_MS), undefined).unref();
  });
  try {
    const lies = await put;
    const untaken = async () => {
      if (lies === undefined) return null;
      await sleep(TAKEN_MS, undefined, { signal: over.signal, ref: false });
      return (await fast.jobs.takeBack(lies).catch(() => false)) ? null : await never<null>();
    };
    const outcome = await Promise.race([ended, gone, untaken().catch(never<null>)]);
    over.abort();
    if (outcome === undefined) return;
    await tellGuardian(deps, request, outcome);
    if (outcome && !outcome.left) await fast.jobs.done(job);
  } catch (error) {
    deps.logger.warn({ runId: id, error: messageOf(error) }, 'a guardian goes on when its delay ends');
  } finally {
    clearTimeout(deadline);
  }
}

const never = <T>(): Promise<T> => new Promise(() => undefined);

/** A run of one that changes something elsewhere is handed out when Temporal has it, and not beside. */
const changesNothing = (plan: Plan): boolean =>
  [...allSteps(plan)].every((step) => !isStage(step) || !changesElsewhere(step.kind));

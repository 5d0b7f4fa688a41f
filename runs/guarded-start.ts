import { LONGEST_TIMER_MS } from '../pipelines/duration.js';
import { messageOf } from '../pipelines/errors.js';
import type { SegmentOutcome } from '../pipelines/run/index.js';
import { type Moment, momentAgo } from '../runtime/moment.js';
import type { FastJob } from '../stores/jobs/index.js';
import type { FastPath, RunDeps } from './deps.js';
import { never, OVER } from './over.js';
import type { PreparedRun } from './prepare.js';
import { type StartedRun, signalGuardian, startRun } from './start.js';

/**
 * How long a job may stay in the queue before its guardian runs it instead, in milliseconds. A worker with capacity takes a job
 * within a millisecond.
 */
const TAKEN_MS = 150;

/**
 * Starts a run on a fast host: starts its workflow as the guardian, with a delay, and puts the job into the queue. A run without side
 * effects is queued concurrently with the workflow's start; its caller gets no response before Temporal has the workflow. Throws as
 * `startRun` does.
 */
export async function startGuarded(deps: RunDeps, run: PreparedRun): Promise<StartedRun> {
  const { fast } = deps;
  const { request, guarded: segment } = run;
  if (!fast || !segment) return await startRun(deps, run);
  const job: FastJob = { id: request.id, segment, at: Date.now() };
  const startedAt = momentAgo();
  const over = new AbortController();
  // Before it is queued: the outcome may arrive before Temporal has confirmed the start.
  const ended = deps.answers?.outcome(job.id, over.signal) ?? never();
  const put = () => fast.put(job);
  const early = run.changesNothing ? put() : undefined;
  try {
    const started = await startRun(deps, run);
    if (started.replayed) over.abort(OVER);
    else {
      const begun = { run, job, ended, put: early ?? put(), startedAt, confirmedAt: momentAgo() };
      void guard(deps, fast, begun).finally(() => over.abort(OVER));
    }
    return started;
  } catch (error) {
    over.abort(OVER);
    void early?.then((lies) => (lies === undefined ? undefined : fast.revoke(job, lies).catch(() => undefined)));
    throw error;
  }
}

interface Guarded {
  readonly run: PreparedRun;
  readonly job: FastJob;
  readonly ended: Promise<SegmentOutcome | null>;
  /** The queued text of the job; undefined if it was not queued. */
  readonly put: Promise<string | undefined>;
  /** A moment before the start of its guardian. */
  readonly startedAt: Moment;
  /** When Temporal had confirmed that. */
  readonly confirmedAt: Moment;
}

/** Signals the outcome of the fast host to the guardian. If this process ends first, the guardian's start delay expires. Never rejects. */
async function guard(deps: RunDeps, fast: FastPath, guarded: Guarded): Promise<void> {
  const { run, job, ended, put, startedAt, confirmedAt } = guarded;
  const { id } = job;
  const timers: NodeJS.Timeout[] = [];
  const after = (ms: number) =>
    new Promise<undefined>((resolve) => timers.push(setTimeout(resolve, ms, undefined).unref()));
  try {
    const lies = await put;
    const untaken = async () => {
      if (lies === undefined) return null;
      await after(TAKEN_MS);
      return (await fast.takeBack(job, lies).catch(() => false)) ? null : await never<null>();
    };
    const gone = after(Math.min(run.context.plan.deadlineMs, LONGEST_TIMER_MS));
    const outcome = await Promise.race([ended, gone, untaken()]);
    if (outcome === undefined) return;
    // A run that no host has begun has not ended, however long its start took: its guardian need not wait for the rest of the delay.
    await signalGuardian(deps, run, outcome, outcome === null ? confirmedAt : startedAt);
    if (outcome && !outcome.left) await fast.done(job);
  } catch (error) {
    deps.logger.warn(
      { runId: id, error: messageOf(error) },
      'the guardian workflow could not be signalled; it takes the run over when its start delay ends',
    );
  } finally {
    for (const timer of timers) clearTimeout(timer);
  }
}

import { LONGEST_TIMER_MS } from '../pipelines/duration.js';
import { messageOf } from '../pipelines/errors.js';
import type { SegmentOutcome } from '../pipelines/run/index.js';
import type { FastJob } from '../stores/jobs/index.js';
import type { FastPath, RunDeps } from './deps.js';
import type { PreparedRun } from './prepare.js';
import { type StartedRun, startRun, tellGuardian } from './start.js';

/**
 * How long a job may lie untaken before its guardian begins at once, in milliseconds: a worker that has room takes one
 * within a millisecond, and a caller should not notice that none has.
 */
const TAKEN_MS = 150;

/** An error made for each abort costs a stack trace. */
const OVER = new Error('nobody waits for the outcome any more');

/**
 * Starts a run that a fast host runs: its workflow as the guardian, with a delay, and the job for whichever worker takes it
 * first. A run that changes nothing elsewhere is handed out while Temporal is told of it; its caller hears nothing of it before
 * Temporal has it. Throws as `startRun` does.
 */
export async function startGuarded(deps: RunDeps, run: PreparedRun): Promise<StartedRun> {
  const { fast } = deps;
  const { request, guarded: segment } = run;
  if (!fast || !segment) return await startRun(deps, run);
  const job: FastJob = { id: request.id, segment, at: Date.now() };
  const over = new AbortController();
  // Before it is handed out: it may have ended before Temporal has told us that it has started.
  const ended = deps.answers?.outcome(job.id, over.signal) ?? never();
  const put = () => fast.put(job);
  const early = run.changesNothing ? put() : undefined;
  try {
    const started = await startRun(deps, run);
    if (started.replayed) over.abort(OVER);
    else void guard(deps, fast, { run, job, ended, put: early ?? put() }).finally(() => over.abort(OVER));
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
  /** The job as it lies in Redis; undefined where it was not handed out. */
  readonly put: Promise<string | undefined>;
}

/** Tells the guardian what the fast host has done. Should this process end before, the guardian's delay does it. Never rejects. */
async function guard(deps: RunDeps, fast: FastPath, { run, job, ended, put }: Guarded): Promise<void> {
  const { id } = job;
  const timers: NodeJS.Timeout[] = [];
  const after = (ms: number) =>
    new Promise<undefined>((resolve) => timers.push(setTimeout(resolve, ms, undefined).unref()));
  try {
    const lies = await put;
    const untaken = async () => {
      if (lies === undefined) return null;
      await after(TAKEN_MS);
      return (await fast.takeBack(lies).catch(() => false)) ? null : await never<null>();
    };
    const gone = after(Math.min(run.context.plan.deadlineMs, LONGEST_TIMER_MS));
    const outcome = await Promise.race([ended, gone, untaken()]);
    if (outcome === undefined) return;
    await tellGuardian(deps, run, outcome);
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

const never = <T>(): Promise<T> => new Promise(() => undefined);

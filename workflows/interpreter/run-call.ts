import type { JsonObject } from '../../pipelines/json.js';
import type { StagePlan } from '../../pipelines/plan/index.js';
import type { StageCall, StageOutcome, StagePlacement } from '../../pipelines/run/index.js';
import { StageError } from '../../pipelines/run/stage-error.js';
import type { Answering, Shown, StageHost } from './host.js';
import type { Run } from './state.js';

/**
 * How long a call stays in its queue before the run queries whether a worker serves it, in milliseconds; doubled each
 * time. A worker that starts takes the call immediately; one with a compatible version is found by the next query.
 * While a worker serves the queue there is less to query, and each query costs the call its position in the queue.
 * Temporal reports a lost worker after 90 s.
 */
const QUERIES = {
  firstMs: 5_000,
  factor: 2,
  missing: { firstMs: 10_000, mostMs: 60_000 },
  served: { firstMs: 30_000, mostMs: 300_000 },
};

/**
 * Runs a call. A call of a function with a pinned version waits for a worker that has this version until the stage's
 * total timeout, and displays what it waits for.
 */
export async function runCall(
  run: Run,
  { host }: { readonly host: StageHost },
  stage: StagePlan,
  input: JsonObject,
  call: StageCall,
  placed: StagePlacement,
  shown?: Shown,
  answer?: Answering,
): Promise<StageOutcome> {
  if (call.codeVersion === undefined || !host.serving) return host.runStage(stage, input, call, placed, shown, answer);
  const name = `${call.model}@${call.codeVersion}`;
  const { retry, timeout } = stage.policy;
  const { elsewhere = [], ...own } = placed;
  const queues = [own.queue, ...elsewhere.map(({ queue }) => queue)];
  const startedAt = host.now();
  const end = startedAt + timeout.totalMs;
  const absent = () => absentError(run, stage, name, timeout.totalMs);
  let { queue } = own;
  let queryMs = QUERIES.firstMs;
  const next = { missing: QUERIES.missing.firstMs, served: QUERIES.served.firstMs };
  let missing = false;
  let begun = 0;
  let lostOne = false;
  for (;;) {
    const leftMs = end - host.now();
    if (leftMs <= 0) throw absent();
    const limits = { ...timeout, attemptMs: Math.min(timeout.attemptMs, leftMs), totalMs: leftMs };
    const left = { ...retry, attempts: retry.attempts - begun };
    const policy = { ...stage.policy, retry: left, timeout: { ...limits, queueMs: Math.min(queryMs, leftMs) } };
    let failure: StageError;
    try {
      const again = (lostOne || begun > 0) && call.writes && { again: true as const };
      const before = { ...again, ...(lostOne && { since: startedAt }) };
      return await host.runStage(
        { ...stage, policy },
        input,
        { ...call, retry: left, ...before },
        { ...own, queue },
        shown,
      );
    } catch (error) {
      if (!(error instanceof StageError)) throw error;
      if (missing && error.code === 'STAGE_TIMEOUT' && end - host.now() <= SLACK_MS) throw absent();
      if (error.code !== 'QUEUE_TIMEOUT' && error.code !== 'CODE_NOT_FOUND') throw error;
      failure = error;
    }
    const { begun: more, lost: hasLost } = failure.details;
    lostOne ||= hasLost === true;
    begun += failure.code === 'QUEUE_TIMEOUT' && typeof more === 'number' ? more : 0;
    if (begun >= retry.attempts) throw lost(stage);
    // A worker of the queue without the function must not be called again immediately.
    if (failure.code === 'CODE_NOT_FOUND')
      await host.wait(Math.max(1, Math.min(queryMs, end - host.now())), `code ${name}`);
    const serving: string | undefined = await host.serving(queues, name);
    queue = serving ?? own.queue;
    missing = serving === undefined || failure.code === 'CODE_NOT_FOUND';
    const found = missing ? 'missing' : 'served';
    queryMs = next[found];
    next[found] = Math.min(QUERIES[found].mostMs, queryMs * QUERIES.factor);
    if (missing) run.table.doing(stage.id, `waiting for code ${name}`);
  }
}

/** Possible difference between Temporal's timer and the run's clock. */
const SLACK_MS = 100;

function absentError(run: Run, { id }: StagePlan, name: string, totalMs: number): StageError {
  if (run.deadline.leftMs > SLACK_MS) {
    const message = `stage "${id}": no worker with the code ${name} took it within ${totalMs} ms`;
    return new StageError('CODE_NOT_FOUND', message, { stage: id });
  }
  const { code, message, details } = run.deadline.exceeded(id);
  return new StageError(code, `${message}: stage "${id}" waited for code ${name}, which no worker has`, details);
}

const lost = ({ id }: StagePlan): StageError =>
  new StageError('STAGE_TIMEOUT', `stage "${id}": its worker stopped in the last attempt`, { stage: id });

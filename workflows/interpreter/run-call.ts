import type { JsonObject } from '../../pipelines/json.js';
import type { StagePlan } from '../../pipelines/plan/index.js';
import type { StageCall, StageOutcome, StagePlacement } from '../../pipelines/run/index.js';
import { StageError } from '../../pipelines/run/stage-error.js';
import { type Answering, holds, type Shown, type StageHost } from './host.js';
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
 * total timeout, or for its patience where it has an alternative, and displays what it waits for. Throws `QUEUE_TIMEOUT`
 * when its waits together are longer than `timeout.queue`.
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
  const queueMs = timeout.queueMs ?? Number.POSITIVE_INFINITY;
  const patienceMs = Math.max(LEAST_PATIENCE_MS, stage.policy.patienceMs ?? Number.POSITIVE_INFINITY);
  const { elsewhere = [], ...own } = placed;
  const queues = [own.queue, ...elsewhere.map(({ queue }) => queue)];
  const startedAt = host.now();
  const end = startedAt + timeout.totalMs;
  const absent = (ms = timeout.totalMs) => absentError(run, stage, name, ms);
  let { queue } = own;
  let queryMs = QUERIES.firstMs;
  const next = { missing: QUERIES.missing.firstMs, served: QUERIES.served.firstMs };
  let missing = false;
  let begun = 0;
  let lostOne = false;
  let waitedMs = 0;
  // Since when no worker may have the code; undefined while one is known.
  let absentSince: number | undefined = startedAt;
  const waitMs = () => {
    const patientMs = absentSince === undefined ? Number.POSITIVE_INFINITY : absentSince + patienceMs - host.now();
    return Math.max(1, Math.min(queryMs, end - host.now(), ifLeft(queueMs - waitedMs), ifLeft(patientMs)));
  };
  for (;;) {
    const leftMs = end - host.now();
    if (leftMs <= 0) throw absent();
    const limitMs = waitMs();
    const limits = { ...timeout, attemptMs: Math.min(timeout.attemptMs, leftMs), totalMs: leftMs, queueMs: limitMs };
    const left = { ...retry, attempts: retry.attempts - begun };
    const policy = { ...stage.policy, retry: left, timeout: limits };
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
    const begunNow = failure.code === 'QUEUE_TIMEOUT' && typeof more === 'number' ? more : 0;
    begun += begunNow;
    if (begun >= retry.attempts) throw lost(stage);
    // A worker had it.
    if (begunNow > 0 || hasLost === true) absentSince = undefined;
    if (failure.code === 'QUEUE_TIMEOUT') waitedMs += limitMs;
    else {
      // A worker of the queue without the function must not be called again immediately.
      const pauseMs = waitMs();
      await host.wait(pauseMs, `code ${name}`);
      waitedMs += pauseMs;
    }
    if (waitedMs >= queueMs && holds(host, 'pinned-calls-end-in-time')) throw queueTimeout(stage, begun, lostOne);
    const serving: string | undefined = await host.serving(queues, name);
    queue = serving ?? own.queue;
    missing = serving === undefined || failure.code === 'CODE_NOT_FOUND';
    absentSince = missing ? (absentSince ?? host.now()) : undefined;
    const isOver = absentSince !== undefined && host.now() - absentSince >= patienceMs;
    if (isOver && holds(host, 'pinned-calls-end-in-time')) throw absent(patienceMs);
    const found = missing ? 'missing' : 'served';
    queryMs = next[found];
    next[found] = Math.min(QUERIES[found].mostMs, queryMs * QUERIES.factor);
    if (missing) run.table.doing(stage.id, `waiting for code ${name}`);
  }
}

/** A limit that is used up limits nothing more: in a history from before `pinned-calls-end-in-time` the call went on. */
const ifLeft = (ms: number): number => (ms > 0 ? ms : Number.POSITIVE_INFINITY);

/** A worker that waits for a task gets one in less. */
const LEAST_PATIENCE_MS = 500;

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

function queueTimeout({ id, policy }: StagePlan, begun: number, hasLost: boolean): StageError {
  const message = `stage "${id}": no worker took it within ${policy.timeout.queueMs} ms`;
  return new StageError('QUEUE_TIMEOUT', message, { stage: id, begun, ...(hasLost && { lost: true }) });
}

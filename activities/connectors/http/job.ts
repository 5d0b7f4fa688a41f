import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../../../pipelines/errors.js';
import type { Json } from '../../../pipelines/json.js';
import { HandedOver } from '../handed-over.js';
import { type DescribedCall, success, whole } from './answered.js';
import type { Api, RequestTemplate } from './api.js';
import { closeCallback, openCallback, withCallback, wokenBy } from './callback.js';
import { holds } from './condition.js';
import { failureOf, failureWithin, waitOf } from './faults.js';
import { jobIdOf, noId } from './job-id.js';
import { askedBy, type KeptJob, keptJob } from './kept-job.js';
import { ending } from './polling.js';
import { tellProgress } from './progress.js';
import { settled } from './redirects.js';
import { requestBy, type Sender } from './send.js';
import { render, type Scope } from './template.js';

type Job = NonNullable<Api['job']>;

/** Longest wait for an answer that nobody waits for, in milliseconds. */
const TELL_MS = 5_000;
/** Times that a server is asked to remove a result, the pause between them, and the longest wait for each answer, in milliseconds. */
const REMOVALS = { most: 3, pauseMs: 1_000, answerMs: 2_000 };

/**
 * The result of a job: submitted, asked for until it has ended, and fetched. An attempt that is repeated at the same
 * server goes on with the job that it has. One that is gone, has failed, or is at a server that says nothing of it in a whole attempt, is
 * not kept, so that the next attempt may go to another server. A cancelled call cancels its job, one that is handed over to the next
 * attempt does not.
 */
export async function readJob(described: DescribedCall, submit: RequestTemplate, job: Job): Promise<Scope> {
  const kept = keptOf(described);
  const asking = { ...described, sender: withoutKey(described.sender) };
  if (kept !== undefined) {
    const result = await ended({ ...asking, callback: kept.callback }, job, kept.job, true);
    if (result) return taken(asking, job, kept.job, result);
  }
  const { sender, context } = described;
  const callback = job.callback && (await openCallback(context));
  const id = await submitted(described, submit, job, callback?.url).catch((error: unknown) => {
    closeCallback(callback?.token, context);
    throw error;
  });
  const begun: KeptJob = {
    ...{ endpoint: sender.base, job: id, asked: askedBy(described.call) },
    ...(callback && { callback: callback.token }),
  };
  context.checkpoint({ ...begun });
  const result = await ended({ ...asking, callback: callback?.token }, job, id, false);
  if (result) return taken(asking, job, id, result);
  throw new MillraceError('BACKEND_ERROR', 'the server no longer has the job');
}

/** The server keeps a result until the run has it: another attempt finds it there if this worker is lost before. */
function taken(described: DescribedCall, { remove }: Job, id: Json, result: Scope): Scope {
  const { whenKept = (work: () => void) => work() } = described.context;
  if (remove) whenKept(() => void removed(described, remove, id));
  return result;
}

/** A result that cannot be removed stays at the server. An ending process waits for the answer to one request, and makes no further ones. */
async function removed(described: DescribedCall, template: RequestTemplate, id: Json): Promise<void> {
  for (let time = 1; ; time++) {
    const status = await told(described, template, id, REMOVALS.answerMs).catch(() => undefined);
    if ((status !== undefined && status < 500) || time === REMOVALS.most) return;
    await sleep(REMOVALS.pauseMs, undefined, { ref: false });
  }
}

/** Submits the job, and returns its identifier. */
async function submitted(
  described: DescribedCall,
  submit: RequestTemplate,
  job: Job,
  callback: string | undefined,
): Promise<Json> {
  const { api, scope, sender, context } = described;
  const seen = callback === undefined ? scope : withCallback(scope, callback);
  const response = await success(described, await requestBy(submit, seen, sender), context.signal);
  const answer = await whole(api, response, context.signal);
  const id = render(job.id, {
    scope: { ...scope, ...answer },
    wrong: (pointer, problem) => noId(`${pointer} ${problem}`),
    spent: { made: 0 },
  });
  return jobIdOf(id, job);
}

/** The key is the submission's: a server that keeps answers by their keys would give its answer to every question. */
function withoutKey(sender: Sender): Sender {
  const { 'idempotency-key': _, ...fixed } = sender.fixed;
  return { ...sender, fixed };
}

/** The job of an earlier attempt at the same call. */
function keptOf({ call, sender, context: { resumeFrom } }: DescribedCall): KeptJob | undefined {
  const kept = keptJob(resumeFrom);
  if (kept?.endpoint !== sender.base) return undefined;
  return kept.asked === undefined || kept.asked === askedBy(call) ? kept : undefined;
}

/** The next attempt begins another job. */
function dropped({ context, callback }: Waited): undefined {
  context.checkpoint(null);
  closeCallback(callback, context);
  return undefined;
}

/**
 * Waits for the job's end and fetches its result. Undefined if the server does not have the job, or if one of an earlier
 * attempt has failed there.
 */
async function ended(described: Waited, job: Job, id: Json, earlier: boolean): Promise<Scope | undefined> {
  const { signal } = described.context;
  const questions: Questions = { asked: false, answered: false };
  try {
    const result = await polled({ ...described, questions }, job, id, earlier);
    closeCallback(described.callback, described.context);
    return result;
  } catch (error) {
    // The next attempt goes on with the job of a call that is handed over.
    if (signal.aborted && !(signal.reason instanceof HandedOver)) {
      const hangs = earlier && questions.asked && !questions.answered;
      if (job.cancel) cancel(described, job.cancel, id);
      if (job.cancel || hangs) dropped(described);
    }
    // The server does not say in two attempts what became of it: the next one may go elsewhere.
    if (earlier && !signal.aborted && isUnknown(error)) dropped(described);
    throw error;
  }
}

/** Codes of a server that answers, is not busy, and does not have what it is asked for. */
const UNKNOWN: ReadonlySet<string> = new Set(['BACKEND_ERROR', 'BACKEND_REJECTED']);
const isUnknown = (error: unknown): boolean => error instanceof MillraceError && UNKNOWN.has(error.code);

/** What a server has said of a job in this attempt. One that hangs is asked and answers nothing. */
interface Questions {
  asked: boolean;
  answered: boolean;
}
/** A call that waits for its job, and the token by which the job’s server calls. */
type Waited = DescribedCall & { readonly callback: string | undefined };
type Asking = Waited & { readonly questions: Questions };

/** The last answer about a job. */
interface Ended {
  readonly scope: Scope;
  readonly headers: Headers;
  /** Whether the job has succeeded. */
  readonly done: boolean;
}

async function polled(described: Asking, job: Job, id: Json, earlier: boolean): Promise<Scope | undefined> {
  const { api, context } = described;
  const last = await ending<Ended | typeof GONE>(
    async () => {
      const asked = await question(described, job.poll, id);
      if (asked === GONE) return { end: GONE };
      const { scope, headers } = asked;
      tellProgress(job.progress, scope, context);
      const done = holds(job.done, scope);
      const over = done || (job.failed !== undefined && holds(job.failed, scope));
      return over ? { end: { scope, headers, done } } : { waitMs: waitOf(headers) };
    },
    { everyMs: job.everyMs, signal: context.signal, woken: wokenBy(described.callback, context) },
  );
  if (last === GONE) return dropped(described);
  const { scope, headers, done } = last;
  if (done) return job.result ? await resultOf(described, job.result, id) : scope;
  dropped(described);
  if (earlier) return undefined;
  if (job.reason) await question(described, job.reason, id);
  throw failureWithin(api, scope, headers) ?? new MillraceError('BACKEND_ERROR', `the job failed: ${stateOf(scope)}`);
}

async function resultOf(described: Asking, template: RequestTemplate, id: Json): Promise<Scope | undefined> {
  const asked = await question(described, template, id);
  if (asked === GONE) return dropped(described);
  const failure = failureWithin(described.api, asked.scope, asked.headers);
  if (failure) {
    dropped(described);
    throw failure;
  }
  return asked.scope;
}

/** The server has no such job, for instance since it was started again. */
const GONE = null;

async function question(
  { api, scope, sender, transport, context: { signal }, questions }: Asking,
  template: RequestTemplate,
  job: Json,
): Promise<{ readonly scope: Scope; readonly headers: Headers } | typeof GONE> {
  const sent = await requestBy(template, { ...scope, job }, sender);
  questions.asked = true;
  const { response, failed } = await settled(transport, sent, signal, sender.origins);
  questions.answered = true;
  if (failed?.status === 404 || failed?.status === 410) return GONE;
  if (failed) throw failureOf(api, failed);
  // Rules about answers that look successful are about the job's end, not about a question.
  return { scope: await whole({ ...api, errors: [] }, response, signal), headers: response.headers };
}

/** Does not wait for the server, because the call has ended. If the server is not reached, it finishes the job, and the result is not used. */
function cancel(described: DescribedCall, template: RequestTemplate, job: Json): void {
  told(described, template, job).catch(() => undefined);
}

/** Sends a request whose answer matters no more than by its status. */
async function told(
  { scope, sender, transport }: DescribedCall,
  template: RequestTemplate,
  job: Json,
  limitMs = TELL_MS,
): Promise<number> {
  const sent = await requestBy(template, { ...scope, job }, sender);
  const response = await transport(sent.url, { ...sent, signal: AbortSignal.timeout(limitMs), redirect: 'manual' });
  await response.body?.cancel();
  return response.status;
}

const stateOf = ({ body }: Scope): string => JSON.stringify(body ?? null).slice(0, 500);

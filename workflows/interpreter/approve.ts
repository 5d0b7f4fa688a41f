import type { Json, JsonObject } from '../../pipelines/json.js';
import type { StagePlan } from '../../pipelines/plan/index.js';
import type { Decision, Wait } from '../../pipelines/run/index.js';
import { filledIn } from '../../pipelines/run/question-content.js';
import { StageError } from '../../pipelines/run/stage-error.js';
import { type ApprovalRequest, aboutOf } from './approval-request.js';
import { decidedBefore } from './decided-before.js';
import { holds } from './host.js';
import { publish } from './publish.js';
import { type At, type Run, STOPPED, type Stopped } from './state.js';

/** Waits for a person's decision, or applies the default after the timeout. */
export async function approve(run: Run, stage: StagePlan, input: JsonObject, at: At): Promise<Json | Stopped> {
  const { timeoutMs, otherwise, form } = stage.with as { timeoutMs: number; otherwise: boolean; form?: JsonObject };
  const { table, deadline } = run;
  const path = `${at.prefix}${stage.id}`;
  table.underWay(stage.id, 1);
  if (at.memo.below('wait').value === undefined) table.start(stage.id);
  try {
    const limitMs = deadline.limit(stage).policy.timeout.totalMs;
    const subject = String(input.subject ?? '');
    const asked = { subject, ...(form && { question: { message: subject, schema: form } }) };
    const decision = await decide(run, at, { ...asked, timeoutMs, otherwise, stage: stage.id, path, limitMs });
    if (decision === undefined) return STOPPED;
    const { approved, content = {} } = decision;
    const output = { ...decision, ...(form && approved && { content: filledIn(form, content) }) };
    table.finish(stage.id, { output, endpoint: '', device: '', attempt: 1, cache: 'off', queueMs: 0, runMs: 0 });
    return output;
  } catch (error) {
    if (!(error instanceof StageError)) table.cancel(stage.id);
    const failure = error instanceof StageError && deadline.isOver(error) ? deadline.exceeded(stage.id) : error;
    if (failure instanceof StageError) {
      table.fail(stage.id, failure);
      const { code, message } = failure;
      publish(run, at, { type: 'stage.failed', stage: stage.id, path, attempt: 1, code, message });
    }
    throw failure;
  } finally {
    table.underWay(stage.id, -1);
  }
}

/** State of a wait carried into a new history, where it continues under the same nonce. */
type Kept = { readonly nonce: string; readonly since: number };

/** An earlier decision of the run, or of the one that it resumes, that holds for this request. */
export const decidedAlready = (run: Run, at: At, request: ApprovalRequest): Decision | undefined =>
  decidedBefore(run, request) ?? standing(run, at, request);

/** Returns the decision; undefined if the run stops for a new history or the wait has become pointless. */
export async function decide(run: Run, at: At, request: ApprovalRequest): Promise<Decision | undefined> {
  const { subject, call, question, carriedBy, session, stage, path, timeoutMs, otherwise, limitMs, pointless } =
    request;
  const before = decidedAlready(run, at, request);
  if (before) return before;
  const kept = at.memo.below('wait');
  const now = at.host.now();
  const begins = kept.value === undefined;
  if (begins) kept.end({ nonce: at.host.nonce(), since: now } satisfies Kept);
  const { nonce, since } = kept.value as Kept;
  const left = Math.max(1, timeoutMs - (now - since));
  const limit = Math.min(left, limitMs);
  const of = { stage, path, attempt: 1 };
  const about = {
    subject,
    ...(call && { call }),
    ...(question && { question }),
    ...(session !== undefined && { session }),
  };
  const what = { nonce, ...about, since: iso(since), until: iso(now + limit), otherwise };
  const wait: Wait = { ...what, stage, path };
  if (begins) publish(run, at, { type: 'stage.waiting', ...of, ...what });
  if (begins && run.context.waitsTo !== undefined) at.host.announce?.(wait, run.context.waitsTo);
  let isOver = false;
  const stops = () => run.continuing && at.mayStop;
  const raced = await at.host.race<Decision | undefined>([
    (inner) => inner.decision(wait, stops),
    async (inner) => {
      await inner.wait(limit, `${path} waits for a person · ${nonce}`);
      isOver = true;
      return undefined;
    },
    ...(pointless === undefined ? [] : [() => pointless.then(() => undefined)]),
  ]);
  if (!raced && !isOver && stops()) return undefined;
  // A decision accepted at the last moment counts: its sender has received a confirmation.
  const decision =
    at.host.close(nonce) ?? (isOver && limit === left ? { approved: otherwise, by: 'timeout' } : undefined);
  if (decision) {
    const covers = decision.scope === 'run' && carriedBy !== undefined && { carriedBy };
    run.table.decided(stage, {
      path,
      ...decision,
      about: aboutOf(request),
      ...(call && { tool: call.tool }),
      ...covers,
    });
    publish(run, at, { type: 'stage.decided', ...of, nonce, ...decision });
  } else if (isOver) throw new StageError('STAGE_TIMEOUT', `stage "${stage}": no decision was made in time`, { stage });
  return decision;
}

/** An earlier decision of the run that covers this call too. */
function standing({ table }: Run, { host }: At, request: ApprovalRequest): Decision | undefined {
  const { stage, path, call, carriedBy } = request;
  const all = call ? table.standing(stage, call.tool) : [];
  const own = all.find((decision) => decision.carriedBy === undefined || decision.carriedBy === carriedBy);
  const [found] = own || all.length === 0 || holds(host, 'approvals-are-of-one-tool') ? [own] : all;
  if (!found || !call) return undefined;
  const { by, actor } = found;
  const decision = { approved: true, by, ...(actor !== undefined && { actor }) };
  table.decided(stage, { path, ...decision, about: aboutOf(request), tool: call.tool });
  return decision;
}

const iso = (ms: number): string => new Date(ms).toISOString();

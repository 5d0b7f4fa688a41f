import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { APPROVE_SIGNAL, type RunEvent, type StageDecision, type StagePlan } from '../../pipelines/plan/index.js';
import { type Host, StageError } from './host.js';
import { type At, type Run, STOPPED, type Stopped } from './state.js';

/** Waits for a person's decision, sent as the signal `approve/<path>`, or takes the default when the time is over. */
export async function approve(run: Run, stage: StagePlan, input: JsonObject, at: At): Promise<Json | Stopped> {
  const { timeoutMs, otherwise } = stage.with as { timeoutMs: number; otherwise: boolean };
  const { table, deadline } = run;
  const path = `${at.prefix}${stage.id}`;
  if (at.memo.below('since').value === undefined) table.start(stage.id);
  try {
    const limitMs = deadline.limit(stage).policy.timeout.totalMs;
    const subject = String(input.subject ?? '');
    const output = await decide(run, at, { subject, timeoutMs, otherwise, stage: stage.id, path, limitMs });
    if (output === undefined) return STOPPED;
    table.finish(stage.id, { output, endpoint: '', device: '', attempt: 1, cache: 'off', queueMs: 0, runMs: 0 });
    return output;
  } catch (error) {
    if (!(error instanceof StageError)) table.cancel(stage.id);
    const failure = error instanceof StageError && deadline.isOver(error) ? deadline.exceeded(stage.id) : error;
    if (failure instanceof StageError) {
      table.fail(stage.id, failure);
      const { code, message } = failure;
      tell(run, at, { type: 'stage.failed', stage: stage.id, path, attempt: 1, code, message });
    }
    throw failure;
  }
}

/** What a person is to decide on. */
export interface Asked {
  /** What it is about, in words. */
  readonly subject: string;
  readonly stage: string;
  /** The decision is the signal `approve/<path>`. */
  readonly path: string;
  readonly timeoutMs: number;
  /** The decision when nobody decides within `timeoutMs`. */
  readonly otherwise: boolean;
  /** Less may be left of the run's deadline: then nobody's decision is nobody's default, but `STAGE_TIMEOUT`. */
  readonly limitMs: number;
}

/** The decision; undefined where the run stops for a new history. `at.memo` keeps since when it is waited for. */
export async function decide(run: Run, at: At, asked: Asked): Promise<Decision | undefined> {
  const { subject, stage, path, timeoutMs, otherwise, limitMs } = asked;
  const of = { stage, path, attempt: 1 };
  const since = at.memo.below('since');
  const now = at.host.now();
  const begins = since.value === undefined;
  if (begins) since.end(now);
  const left = Math.max(1, timeoutMs - (now - Number(since.value)));
  const limit = Math.min(left, limitMs);
  if (begins) tell(run, at, { type: 'stage.waiting', ...of, subject, until: new Date(now + limit).toISOString() });
  const output = await at.host.race<Decision | undefined>([
    (inner) => decision(`${APPROVE_SIGNAL}${path}`, inner, () => run.continuing && at.mayStop),
    async (inner) => {
      await inner.wait(limit, `approve ${path}`);
      if (limit === left) return { approved: otherwise, by: 'timeout' };
      throw new StageError('STAGE_TIMEOUT', `stage "${stage}": nobody decided in time`, { stage });
    },
  ]);
  if (output) {
    run.table.decided(stage, { path, ...output });
    tell(run, at, { type: 'stage.decided', ...of, ...output });
  }
  return output;
}

type Decision = Omit<StageDecision, 'path'>;

function tell({ context }: Run, { host }: At, event: RunEvent): void {
  if (context.events) host.tell?.(event);
}

async function decision(name: string, host: Host, giveUp: () => boolean): Promise<Decision | undefined> {
  for (;;) {
    const message = await host.signal(name, giveUp);
    if (message === undefined) return undefined;
    // Anything else is a mistake of the sender and decides nothing.
    if (isJsonObject(message) && typeof message.approved === 'boolean') {
      const { approved, by, actor } = message;
      return {
        approved,
        by: typeof by === 'string' ? by : 'person',
        ...(typeof actor === 'string' && { actor }),
      };
    }
  }
}

import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { APPROVE_SIGNAL, type StagePlan } from '../../pipelines/plan/index.js';
import { type Host, StageError } from './host.js';
import { type At, type Run, STOPPED, type Stopped } from './state.js';

/** Waits for a person's decision, sent as the signal `approve/<path>`, or takes the default when the time is over. */
export async function approve(run: Run, stage: StagePlan, at: At): Promise<Json | Stopped> {
  const { timeoutMs, otherwise } = stage.with as { timeoutMs: number; otherwise: boolean };
  const { table, deadline } = run;
  if (at.memo.below('since').value === undefined) table.start(stage.id);
  try {
    const limitMs = deadline.limit(stage).policy.timeout.totalMs;
    const path = `${at.prefix}${stage.id}`;
    const output = await decide(run, at, { timeoutMs, otherwise, stage: stage.id, path, limitMs });
    if (output === undefined) return STOPPED;
    table.finish(stage.id, { output, endpoint: '', device: '', attempt: 1, cache: 'off', queueMs: 0, runMs: 0 });
    return output;
  } catch (error) {
    if (!(error instanceof StageError)) table.cancel(stage.id);
    const failure = error instanceof StageError && deadline.isOver(error) ? deadline.exceeded(stage.id) : error;
    if (failure instanceof StageError) table.fail(stage.id, failure);
    throw failure;
  }
}

/** What a person is to decide on. */
export interface Asked {
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
export function decide(run: Run, at: At, asked: Asked): Promise<JsonObject | undefined> {
  const { stage, path, timeoutMs, otherwise, limitMs } = asked;
  const since = at.memo.below('since');
  if (since.value === undefined) since.end(at.host.now());
  const left = Math.max(1, timeoutMs - (at.host.now() - Number(since.value)));
  const limit = Math.min(left, limitMs);
  return at.host.race<JsonObject | undefined>([
    (inner) => decision(`${APPROVE_SIGNAL}${path}`, inner, () => run.continuing && at.mayStop),
    async (inner) => {
      await inner.wait(limit, `approve ${path}`);
      if (limit === left) return { approved: otherwise, by: 'timeout' };
      throw new StageError('STAGE_TIMEOUT', `stage "${stage}": nobody decided in time`, { stage });
    },
  ]);
}

async function decision(name: string, host: Host, giveUp: () => boolean): Promise<JsonObject | undefined> {
  for (;;) {
    const message = await host.signal(name, giveUp);
    if (message === undefined) return undefined;
    // Anything else is a mistake of the sender and decides nothing.
    if (isJsonObject(message) && typeof message.approved === 'boolean') {
      return { approved: message.approved, by: typeof message.by === 'string' ? message.by : 'person' };
    }
  }
}

import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { APPROVE_SIGNAL, type StagePlan } from '../../pipelines/plan/index.js';
import { type Host, StageError } from './host.js';
import { type At, type Run, STOPPED, type Stopped } from './state.js';

/** Waits for a person's decision, sent as the signal `approve/<path>`, or takes the default when the time is over. */
export async function approve(run: Run, stage: StagePlan, at: At): Promise<Json | Stopped> {
  const { timeoutMs, otherwise } = stage.with as { timeoutMs: number; otherwise: boolean };
  const { table, deadline } = run;
  const since = at.memo.below('since');
  if (since.value === undefined) {
    since.end(at.host.now());
    table.start(stage.id);
  }
  try {
    const waited = at.host.now() - Number(since.value);
    const left = Math.max(1, timeoutMs - waited);
    // Less than the stage's own time may be left of the run's deadline: then nobody's decision is nobody's default.
    const limit = Math.min(left, deadline.limit(stage).policy.timeout.totalMs);
    const output = await at.host.race<JsonObject | undefined>([
      (inner) => decision(`${APPROVE_SIGNAL}${at.prefix}${stage.id}`, inner, () => run.continuing && at.mayStop),
      async (inner) => {
        await inner.wait(limit, `approve ${stage.id}`);
        if (limit === left) return { approved: otherwise, by: 'timeout' };
        throw new StageError('STAGE_TIMEOUT', `stage "${stage.id}": nobody decided in time`, { stage: stage.id });
      },
    ]);
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

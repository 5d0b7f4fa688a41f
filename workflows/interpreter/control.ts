import { isJsonObject, type JsonObject } from '../../pipelines/json.js';
import type { StageOutcome, StagePlan } from '../../pipelines/plan/index.js';
import { type Host, StageError } from './host.js';

type ControlStage = (stage: StagePlan, input: JsonObject, host: Host) => Promise<StageOutcome>;

/** Stage kinds that the interpreter itself carries out: they wait and decide, and call no server. */
export const CONTROL_STAGES: Readonly<Record<string, ControlStage>> = { approve };

/** Waits for a person's decision, sent as the signal `approve/<stage>`, or takes the default when the time is over. */
async function approve(stage: StagePlan, { subject }: JsonObject, host: Host): Promise<StageOutcome> {
  const { timeoutMs, otherwise } = stage.with as { timeoutMs: number; otherwise: boolean };
  // Less than the stage's own time may be left of the run's deadline: then nobody's decision is nobody's default.
  const limit = Math.min(timeoutMs, stage.policy.timeout.totalMs);
  const output = await host.race<JsonObject>([
    (inner) => decision(`approve/${stage.id}`, inner),
    async (inner) => {
      await inner.wait(limit, `approve ${String(subject)}`);
      if (limit === timeoutMs) return { approved: otherwise, by: 'timeout' };
      throw new StageError('STAGE_TIMEOUT', `stage "${stage.id}": nobody decided in time`, { stage: stage.id });
    },
  ]);
  return { output, endpoint: '', device: '', attempt: 1, cache: 'off', queueMs: 0, runMs: 0 };
}

async function decision(name: string, host: Host): Promise<JsonObject> {
  for (;;) {
    const message = await host.signal(name);
    // Anything else is a mistake of the sender and decides nothing.
    if (isJsonObject(message) && typeof message.approved === 'boolean') {
      return { approved: message.approved, by: typeof message.by === 'string' ? message.by : 'person' };
    }
  }
}

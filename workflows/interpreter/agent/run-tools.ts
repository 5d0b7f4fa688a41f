import { type TokenUsage, usageSum } from '../../../pipelines/run/index.js';
import { type At, STOPPED, type Stopped } from '../state.js';
import type { RequestedCall } from './call-model.js';
import { spoken } from './call-tool.js';
import type { Agent } from './candidate.js';
import { Failing } from './failing.js';
import type { ToolRecord } from './progress.js';
import { type EndedCall, type Place, recordOf, toldCall, toolCall } from './requested-call.js';

/** Maximum calls executed in one turn. A model that requests more is repeating itself. */
const MOST_CALLS = 16;

export interface EndedCalls {
  /** In the order of the calls. */
  readonly records: readonly ToolRecord[];
  /** Duration of the longest call, without the wait for a person. */
  readonly ms: number;
  /** Used by models that the tools call, and by their runs. */
  readonly used?: TokenUsage;
  /** Names of tools that searches have found. */
  readonly found?: readonly string[];
  /** The member of the team that the conversation is handed over to. */
  readonly handoff?: string;
}

/**
 * Runs a turn's tool calls concurrently; `STOPPED` if one waits for a person and the run takes a new history.
 * @param from number of calls of the turns before
 */
export async function runTools(
  agent: Agent,
  at: At,
  turn: number,
  calls: readonly RequestedCall[],
  from: number,
): Promise<EndedCalls | Stopped> {
  const names = placesOf(calls);
  agent.run.table.doing(agent.stage.id, `turn ${turn}: ${calls.map(spoken).join(', ')}`);
  const failing = agent.last ? undefined : new Failing();
  const all = await Promise.all(
    calls.map(async (call, i) => {
      const place: Place = { turn, name: names[i] as string, number: from + i, failing };
      if (i >= MOST_CALLS) return tooMany(agent, at, place, call);
      const ended = toolCall(agent, at, place, call);
      return failing ? ended.catch((error: unknown) => failing.take(error, at.host)) : ended;
    }),
  );
  if (failing?.failure) throw failing.failure;
  if (all.some((ended) => ended === STOPPED)) return STOPPED;
  const ended = all as readonly EndedCall[];
  const used = ended.map((each) => each.used).reduce<TokenUsage | undefined>(usageSum, undefined);
  const ms = Math.max(0, ...ended.map((each) => each.ms));
  const found = ended.flatMap((each) => each.found ?? []);
  const handoff = ended.find((each) => each.handoff !== undefined)?.handoff;
  return {
    records: ended.map(({ record }) => record),
    ms,
    ...(used && { used }),
    ...(found.length > 0 && { found }),
    ...(handoff !== undefined && { handoff }),
  };
}

/** Names that distinguish calls of the same tool in one turn. */
export function placesOf(calls: readonly RequestedCall[]): readonly string[] {
  const seen = new Map<string, number>();
  return calls.map(({ name }) => {
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return count === 1 ? name : `${name}[${count}]`;
  });
}

function tooMany(agent: Agent, at: At, place: Place, call: RequestedCall): EndedCall {
  const message = `at most ${MOST_CALLS} tools can be called at once`;
  const record = recordOf(place.turn, call, { end: 'wrong', code: 'INVALID_TOOL_CALL', message });
  const told = toldCall(agent, at, place, call);
  told.ended(record);
  return { record, ms: 0 };
}

import {
  type AgentPlan,
  agentOf,
  type PricePlan,
  type StagePlan,
  type ToolPlan,
} from '../../../pipelines/plan/index.js';
import { type TokenUsage, usageSum } from '../../../pipelines/run/index.js';
import type { Memo } from '../memo.js';
import type { Reply } from './call-model.js';
import { readerName } from './long-results.js';
import { costOf, type Progress, priced, spent, type ToolRecord, withResults } from './progress.js';
import { type EndedCall, keyOfCall } from './requested-call.js';
import { placesOf } from './run-tools.js';

/**
 * Progress that a failed agent leaves to the next candidate: its messages, calls and usage, including a turn in which a
 * call has ended. Undefined if it has not started.
 */
export function leftBy(stage: Pick<StagePlan, 'with'>, price: PricePlan | undefined, memo: Memo): Progress | undefined {
  const before = memo.below('progress').value as unknown as Progress | undefined;
  if (!before) return undefined;
  const inTurn = memo.below(`turn-${before.turns + 1}`);
  const reply = inTurn.below('reply').value as unknown as Reply | undefined;
  const progress = reply ? withTurn(before, reply, inTurn, agentOf(stage).tools) : before;
  const cost = costOf(priced(agentOf(stage), price), progress);
  const { inputTokens, outputTokens } = progress;
  // What the failed agent's server said of its model does not apply to the next.
  const { shaping: _, measured: __, contextTokens: ___, rejectedIn: ____, ...rest } = progress;
  return { ...rest, wrongTurns: 0, earlier: { inputTokens, outputTokens, ...(cost !== undefined && { cost }) } };
}

function withTurn(before: Progress, reply: Reply, inTurn: Memo, tools: readonly ToolPlan[]): Progress {
  const all = spent(before, reply);
  // An answer that did not end the agent is given anew, by a stream that ends with it the same one.
  const replied = reply.toolCalls.length > 0 ? all : { ...all, said: before.said ?? '' };
  const names = placesOf(reply.toolCalls);
  const ended = names.map((name) => inTurn.below(keyOfCall(name)).value as unknown as EndedCall | undefined);
  if (ended.every((end) => end === undefined)) return replied;
  const records = ended.map((end, i) => end?.record ?? notCarriedOut(before.turns + 1, reply.toolCalls[i]));
  const ms = Math.max(0, ...ended.map((end) => end?.ms ?? 0));
  const used = ended.map((end) => end?.used).reduce<TokenUsage | undefined>(usageSum, undefined);
  const handoff = ended.find((end) => end?.handoff !== undefined)?.handoff;
  const after = withResults(replied, reply, { records, ms, ...(used && { used }) }, readerName(tools));
  return handoff === undefined ? after : { ...after, active: handoff };
}

const notCarriedOut = (turn: number, call: Reply['toolCalls'][number] | undefined): ToolRecord => ({
  turn,
  name: call?.name ?? '',
  arguments: call?.arguments ?? {},
  end: 'refused',
  message: 'This call was not carried out.',
});

/** What the candidates so far have used. */
export const usageOf = ({ inputTokens, outputTokens, earlier, tools }: Progress): TokenUsage | undefined =>
  usageSum({ inputTokens, outputTokens, ...(earlier?.cost !== undefined && { cost: earlier.cost }) }, tools);

/**
 * Initial progress of the next candidate: it continues after what has been done, as if it had done it itself, but
 * without the conversation if nothing was done. Used tokens, turns and time stay used.
 */
export function goesOn({ active, ...left }: Progress, fresh: Progress, { team = [] }: AgentPlan): Progress {
  // An answer that was not accepted is dropped: the model must give a new one.
  const end = left.messages.findLastIndex(({ role }) => role === 'tool') + 1;
  const added = left.calls.length === 0 ? [] : left.messages.slice(left.given, end);
  // A member of the failed candidate's team answers only if the next candidate has it too.
  const stays = active !== undefined && team.some(({ name }) => name === active);
  const { given, messages, inSession } = fresh;
  // The session, which this candidate has read anew, may have got further ones.
  const wholes = fresh.wholes && { ...fresh.wholes, ...left.wholes };
  return {
    ...left,
    ...(stays && { active }),
    ...(inSession && { inSession }),
    ...(wholes && { wholes }),
    given,
    messages: [...messages, ...added],
  };
}

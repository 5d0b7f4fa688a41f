import type { Json, JsonObject } from '../../../pipelines/json.js';
import { saidWith } from '../../../pipelines/plan/index.js';
import { type TokenUsage, usageSum } from '../../../pipelines/run/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import type { RunHost } from '../host.js';
import { type At, STOPPED, type Stopped } from '../state.js';
import type { Reply } from './call-model.js';
import type { Agent } from './candidate.js';
import { besides, check, passed } from './guardrails.js';
import type { KeptMessage } from './kept.js';
import { type Progress, spent } from './progress.js';

/** A turn's model call. */
interface Turn {
  readonly turn: number;
  readonly progress: Progress;
  readonly ask: (
    host: RunHost,
    progress: Progress,
    changed?: true,
  ) => Promise<{ readonly reply: Reply; readonly progress: Progress }>;
  readonly keep: (progress: Json) => void;
}

interface Answered {
  readonly reply: Reply;
  /** Before the turn: with a prompt that a guardrail has changed. */
  readonly progress: Progress;
  /** With the model call. */
  readonly replied: Progress;
}

/**
 * A turn's model call within the agent's guardrails: of the first turn while the prompt is checked, of each turn with what the
 * guardrails leave of its text. Throws `GUARDRAIL_STOPPED`.
 * @param at the agent's place; `inTurn`: the turn's
 */
export async function checkedTurn(
  agent: Agent,
  { at, inTurn }: { readonly at: At; readonly inTurn: At },
  { turn, progress, ask, keep }: Turn,
): Promise<Answered | Stopped> {
  const prompted = at.memo.below('prompt-checked');
  if (prompted.value !== undefined || !checks(agent, 'input')) {
    const changed = (prompted.value as JsonObject | undefined)?.changedIn === turn;
    const asked = await ask(inTurn.host, progress, changed ? true : undefined);
    return await checkedReply(agent, inTurn, turn, { ...asked, before: progress });
  }
  const text = textOf(progress);
  const both = await besides(
    (host) => check(agent, { ...inTurn, host }, { on: 'input', turn }, { text }),
    (host) => ask(host, progress),
    inTurn.host,
  );
  if (both === STOPPED) return STOPPED;
  const { checked, reply: asked } = both;
  const left = passed(agent, checked);
  const before = used(asked === undefined ? withPrompt(progress, left) : progress, checked.used);
  if (asked === undefined) {
    keep(before as unknown as Json);
    // The reply to the prompt as it was does not count, also if it came first.
    inTurn.memo.drop('reply');
  }
  prompted.end({ ...(asked === undefined && { changedIn: turn }) });
  const whole = asked
    ? { reply: asked.reply, progress: used(asked.progress, checked.used) }
    : await ask(inTurn.host, before, true);
  return await checkedReply(agent, inTurn, turn, { ...whole, before });
}

/** A turn of an agent without guardrails. */
export const unchecked = (
  before: Progress,
  { reply, progress }: { readonly reply: Reply; readonly progress: Progress },
): Answered => ({ reply, progress: before, replied: spent(progress, reply) });

const checks = ({ plan: { guards = [] } }: Agent, which: 'input' | 'output'): boolean =>
  guards.some(({ on }) => on === which);

async function checkedReply(
  agent: Agent,
  inTurn: At,
  turn: number,
  { reply, progress, before }: { readonly reply: Reply; readonly progress: Progress; readonly before: Progress },
): Promise<Answered | Stopped> {
  const replied = spent(progress, reply);
  const { text } = reply;
  if (!checks(agent, 'output') || text.trim() === '') return { reply, progress: before, replied };
  const checked = await check(agent, inTurn, { on: 'output', turn }, { text });
  if (checked === STOPPED) return STOPPED;
  const left = passed(agent, checked);
  const whole = used(replied, checked.used);
  if (checked.changed.length === 0) return { reply, progress: before, replied: whole };
  if (reply.data !== undefined) {
    const { id } = agent.stage;
    const message = `stage "${id}": ${checked.changed.join(', ')} changed an answer whose form is fixed, which no longer has it`;
    throw new StageError('GUARDRAIL_STOPPED', message, { stage: id });
  }
  const changed: Reply = { ...reply, text: left };
  // Whatever continues from here sees the changed text.
  inTurn.memo.below('reply').end(changed as unknown as Json);
  return { reply: changed, progress: before, replied: { ...whole, said: saidWith(progress.said ?? '', left) } };
}

const used = (progress: Progress, more: TokenUsage | undefined): Progress => {
  const tools = usageSum(progress.tools, more);
  return tools ? { ...progress, tools } : progress;
};

const isText = (part: JsonObject): boolean => part.type === 'text';

/** The prompt with the texts among its parts. */
function textOf({ messages, given }: Progress): string {
  const { content = '', parts = [] } = messages[given - 1] ?? {};
  return [content, ...parts.filter(isText).map(({ text }) => String(text ?? ''))].join('\n').trim();
}

/** With a text in place of the prompt's texts; its media stay. */
function withPrompt(progress: Progress, text: string): Progress {
  const at = progress.given - 1;
  const messages = progress.messages.map((message, i): KeptMessage => {
    if (i !== at) return message;
    const { parts, ...rest } = message;
    const media = parts?.filter((part) => !isText(part)) ?? [];
    return { ...rest, content: text, ...(media.length > 0 && { parts: media }) };
  });
  return { ...progress, messages };
}

import { type ErrorDetails, MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import { type AgentMessage, saidIn } from '../../pipelines/plan/index.js';

/** A conversation to be answered. */
export interface Conversation {
  readonly with: JsonObject;
  readonly input: JsonObject;
}

export interface OverflowParts<T> {
  readonly send: (conversation: Conversation) => Promise<T>;
  /** Summarizes a transcript, in a call of its own. */
  readonly summarize: (transcript: string) => Promise<string>;
  /** Describes what was left out. */
  readonly onShortened: (what: string) => void;
}

/** Calls that may overflow before the stage fails; with the server's numbers the second one normally fits. */
const MOST_CALLS = 6;
/** Share of the context to fill: tokens are estimated from characters, which differ from turn to turn. */
const FILL = 0.9;

/**
 * Sends a conversation; if the model's context does not hold it, sends it again without its oldest turns, as the stage's
 * `onOverflow` says. A turn is a user's message with everything that answers it, so that no tool result is left without
 * its call. System messages, the prompt and, without a prompt, the last turn stay. Throws `CONTEXT_TOO_LONG` if these
 * alone do not fit.
 */
export async function withinContext<T>(asked: Conversation, parts: OverflowParts<T>): Promise<T> {
  const { onOverflow: policy = 'fail' } = asked.with;
  let conversation = asked;
  let summary: string | undefined;
  let dropped = 0;
  for (let calls = 1; ; calls++) {
    try {
      const answer = await parts.send(conversation);
      if (dropped > 0) parts.onShortened(described(dropped, policy === 'summarize'));
      return answer;
    } catch (error) {
      const overflow = error instanceof MillraceError && error.code === 'CONTEXT_TOO_LONG' ? error : undefined;
      if (!overflow || policy === 'fail' || calls === MOST_CALLS) throw error;
      // vLLM stops counting at its limit: a share computed from that is too large, and the next is halved.
      const cut = shortened(conversation, overflow.details, calls === 1 ? 1 : 0.5);
      if (!cut) throw error;
      dropped += cut.left.length;
      conversation = { ...conversation, input: { ...conversation.input, history: cut.kept as never } };
      if (policy !== 'summarize') continue;
      summary = await summaryOf([summary, ...cut.left.map(lineOf)], cut.mostCharacters, parts.summarize);
      conversation = { ...conversation, with: withSummary(asked.with, summary) };
    }
  }
}

const described = (dropped: number, summarized: boolean): string =>
  `history: the ${dropped} oldest messages were ${summarized ? 'summarized' : 'left out'}: the model’s context does not hold them`;

interface Cut {
  readonly kept: readonly AgentMessage[];
  readonly left: readonly AgentMessage[];
  /** Characters of a transcript that the model's context holds. */
  readonly mostCharacters: number;
}

/** The history without its oldest turns; undefined if it has none that may be left out. */
function shortened({ with: options, input }: Conversation, about: ErrorDetails, atMost: number): Cut | undefined {
  const history = (Array.isArray(input.history) ? input.history : []) as unknown as readonly AgentMessage[];
  const turns = turnsOf(history);
  const free = input.prompt === undefined ? turns.slice(0, -1) : turns;
  if (free.length === 0) return undefined;
  const total = lengthOf([
    ...history,
    options.system ?? '',
    options.tools ?? '',
    input.tools ?? '',
    input.prompt ?? '',
  ]);
  const target = total * Math.min(atMost, shareOf(about, Number(input.maxTokens ?? options.maxTokens ?? 0)));
  const left = new Set<AgentMessage>();
  let rest = total;
  for (const turn of free) {
    for (const message of turn) left.add(message);
    rest -= lengthOf(turn);
    if (rest <= target) break;
  }
  return {
    kept: history.filter((message) => !left.has(message)),
    left: [...left],
    mostCharacters: Math.max(1_000, Math.floor(target / 2)),
  };
}

/** Share of the conversation that fits beside the reply; half of it if the server does not say. */
function shareOf({ neededTokens: needed, contextTokens: limit }: ErrorDetails, reply: number): number {
  if (needed === undefined || limit === undefined || needed <= 0) return 0.5;
  const room = Math.max(limit * FILL - reply, limit / 2);
  return Math.min(FILL, room / needed);
}

/** Messages by turn, each from a user's message on; system messages belong to none. */
function turnsOf(history: readonly AgentMessage[]): AgentMessage[][] {
  const turns: AgentMessage[][] = [];
  for (const message of history) {
    if (message.role === 'system') continue;
    const last = turns.at(-1);
    if (message.role === 'user' || !last) turns.push([message]);
    else last.push(message);
  }
  return turns;
}

const lengthOf = (values: readonly unknown[]): number =>
  values.reduce<number>((sum, value) => sum + (typeof value === 'string' ? value : JSON.stringify(value)).length, 0);

const lineOf = ({ role, toolCalls = [], ...said }: AgentMessage): string =>
  `${role}: ${saidIn(said)}${toolCalls.length > 0 ? ` ${JSON.stringify(toolCalls)}` : ''}`;

/** Of a transcript that does not fit either, the newest part is summarized. */
async function summaryOf(
  lines: readonly (string | undefined)[],
  mostCharacters: number,
  summarize: (transcript: string) => Promise<string>,
): Promise<string | undefined> {
  const transcript = lines.filter((line) => line !== undefined && line !== '').join('\n');
  try {
    return await summarize(transcript.slice(-mostCharacters));
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'CONTEXT_TOO_LONG') return undefined;
    throw error;
  }
}

function withSummary(options: JsonObject, summary: string | undefined): JsonObject {
  if (summary === undefined) return options;
  const short = `The conversation so far, in short: ${summary}`;
  return { ...options, system: typeof options.system === 'string' ? `${options.system}\n\n${short}` : short };
}

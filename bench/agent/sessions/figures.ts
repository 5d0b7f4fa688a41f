import { median, round } from '../../figures.js';
import { states, type Wordings } from './judge.js';
import type { ModelCall } from './model-calls.js';

/** A question about a planted fact. */
export interface Asked {
  readonly asks: string;
  readonly wordings: Wordings;
  /** What the model was sent, and what it answered. */
  readonly request: string;
  readonly answer: string;
  /** Its answer where all facts are in the same message. */
  readonly atOnce: string;
}

/** A conversation that has ended. */
export interface Held {
  readonly asked: readonly Asked[];
  /** Of all runs, in their order. */
  readonly calls: readonly ModelCall[];
}

export interface Compaction {
  /** Tokens of the turns' calls around it; NaN where there is none. */
  readonly before: number;
  readonly after: number;
}

/** How often a conversation became shorter. Several summaries between two turns are one time. */
export function compactionsIn(calls: readonly ModelCall[]): Compaction[] {
  const tokens = (call: ModelCall | undefined) => call?.inputTokens ?? Number.NaN;
  return calls.flatMap((call, i) => {
    if (!call.isSummary || calls[i - 1]?.isSummary) return [];
    const next = calls.slice(i).find(({ isSummary }) => !isSummary);
    return [{ before: tokens(calls[i - 1]), after: tokens(next) }];
  });
}

/** What of the facts was still in the conversation, answered, and answered with all facts in one message. */
export function recallOf(held: readonly Held[]) {
  const asked = held.flatMap((each) => each.asked);
  const share = (isRight: (one: Asked) => boolean) => round(asked.filter(isRight).length / asked.length, 3);
  const kept = share(({ request, wordings }) => states(request, wordings));
  const recalled = share(({ answer, wordings }) => states(answer, wordings));
  const ceiling = share(({ atOnce, wordings }) => states(atOnce, wordings));
  return { facts: asked.length, kept, recalled, ceiling, ofCeiling: round(recalled / ceiling, 3) };
}

/** How often, and from how many tokens to how many (medians). */
export function compactionOf(held: readonly Held[]) {
  const each = held.map(({ calls }) => compactionsIn(calls));
  const whole = each.flat().filter(({ before, after }) => Number.isFinite(before) && Number.isFinite(after));
  return {
    perConversation: each.map((of) => of.length),
    tokensBefore: median(whole.map(({ before }) => before)),
    tokensAfter: median(whole.map(({ after }) => after)),
  };
}

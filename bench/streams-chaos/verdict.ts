import type { TappedCall } from './tap.js';

/** What was noted of one run with a kill; times in milliseconds since 1970. */
export interface Evidence {
  /** When the process was killed; undefined if the run had ended by then. */
  readonly killedAt: number | undefined;
  readonly reply: string;
  /** Entries of the LLM's channel, and when each was seen. */
  readonly sentences: readonly { readonly text: string; readonly at: number }[];
  /** When the end of the LLM's answer was seen, or else of the run. */
  readonly answeredAt: number;
  /** Whether both channels were closed. One that its writer gave up, since the store was away, stays open; the run goes on with the whole text. */
  readonly isClosed: boolean;
  /** Entries of the voice's channel: what is said, its samples, and when it was seen. */
  readonly chunks: readonly { readonly text: string; readonly samples: Buffer; readonly at: number }[];
  /** The samples that the voice makes of each sentence, asked outside the run; undefined where it is not deterministic. */
  readonly expected: readonly Buffer[] | undefined;
  /** Samples of the audio that the run ended with. */
  readonly final: Buffer;
  /** Samples that a client received while it was made, over all its connections, and when each part came. */
  readonly heard: Buffer;
  readonly heardAt: readonly number[];
  /** Calls of the LLM and of the voice; those of the voice by sentence. */
  readonly llmCalls: readonly TappedCall[];
  readonly voiceCalls: readonly (readonly TappedCall[])[];
}

export interface Verdict {
  readonly lostSentences: number;
  readonly twice: number;
  /** Whether what the client received, over all its connections, is not the final audio. */
  readonly prefixBroken: boolean;
  /** Calls of a model that began after the result of the same call was committed. */
  readonly repeatedCalls: number;
  /** Those calls; absent if there are none. */
  readonly late?: readonly LateCall[];
  /** Whether the text of the run is not that of its channel, or does not begin with it where the channel was given up. */
  readonly textDiffers: boolean;
  /** Whether a channel was given up. */
  readonly givenUp: boolean;
  /** From the kill to the next entry of either channel. */
  readonly resumeMs: number | undefined;
  /** Longest time in which the client received no audio, between its first and its last. */
  readonly longestGapMs: number;
}

/** A call that began `lateMs` after its result was committed, all calls of the same text beside it. */
interface LateCall {
  readonly text: string;
  readonly lateMs: number;
  readonly calls: readonly TappedCall[];
}

export function judge(evidence: Evidence): Verdict {
  const { killedAt, reply, sentences, answeredAt, isClosed, chunks, expected, final, heard, heardAt } = evidence;
  const told = sentences.map(({ text }) => text).join('');
  const spoken = sentences.filter(({ text }) => text.trim() !== '');
  const samples = expected ?? chunks.map((chunk) => chunk.samples);
  const whole = Buffer.concat(samples);
  const counts = final.equals(whole) ? samples.map(() => 1) : samples.map((each) => occurrences(final, each));
  const missing = Math.max(0, spoken.length - chunks.length);
  const seen = [...sentences, ...chunks].map(({ at }) => at).filter((at) => killedAt !== undefined && at > killedAt);
  const late = (text: string, calls: readonly TappedCall[], committedAt: number): LateCall[] =>
    calls.filter(({ at }) => at > committedAt).map(({ at }) => ({ text, lateMs: at - committedAt, calls }));
  // Small models say the same sentence twice, or one within another: its calls look the same.
  const lastCommitOf = (text: string) =>
    Math.max(...chunks.filter((other) => other.text.includes(text.trim())).map(({ at }) => at));
  const repeated = [
    ...late('the question', evidence.llmCalls, answeredAt),
    ...chunks.flatMap(({ text }, i) => late(text, evidence.voiceCalls[i] ?? [], lastCommitOf(text))),
  ];
  const gaps = heardAt.slice(1).map((at, i) => at - (heardAt[i] as number));
  return {
    lostSentences: missing + counts.filter((count) => count === 0).length,
    twice:
      counts.filter((count, i) => count > samples.filter((each) => each.equals(samples[i] as Buffer)).length).length +
      Math.max(0, chunks.length - spoken.length),
    // It listened to the end.
    prefixBroken: !final.equals(heard),
    repeatedCalls: repeated.length,
    ...(repeated.length > 0 && { late: repeated }),
    textDiffers: isClosed
      ? told !== reply.trimEnd() || chunks.map(({ text }) => text).join('') !== spoken.map(({ text }) => text).join('')
      : !reply.startsWith(told),
    givenUp: !isClosed,
    resumeMs: killedAt === undefined || seen.length === 0 ? undefined : Math.min(...seen) - killedAt,
    longestGapMs: Math.max(0, ...gaps),
  };
}

function occurrences(within: Buffer, wanted: Buffer): number {
  if (wanted.length === 0) return 1;
  let count = 0;
  for (let at = within.indexOf(wanted); at >= 0; at = within.indexOf(wanted, at + wanted.length)) count += 1;
  return count;
}

import type { Reply } from '../../activities/connectors/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { SequenceSamples } from '../../placement/profiles/index.js';
import { prose, typicalOf } from './examples.js';
import {
  Cells,
  freshSerial,
  leastSamples,
  median,
  rounds,
  type Subject,
  steady,
  type Timed,
  timed,
  warmUp,
} from './sampling.js';

/** Characters of the prompts whose processing is timed: a question, a paragraph, a page, several pages. */
const PROMPTS = [60, 400, 1_600, 6_400];
/** Refusals of a prompt that is too long for the model: it is not measured. */
const TOO_LONG: ReadonlySet<string> = new Set(['CONTEXT_TOO_LONG', 'BACKEND_REJECTED']);
/** Share of the time limit that one prompt may take; a longer one is not measured. */
const MOST_SHARE = 0.1;
/** Tokens generated while the rate is timed: dozens of steps in a call of about a second. */
const WRITTEN = 40;
/** Output length assumed for a load without sizes. */
const TYPICAL_OUT = 64;
/** Used if the server does not count a prompt's tokens: English has about four characters per token. */
const CHARACTERS_A_TOKEN = 4;

/**
 * Times of an LLM: time to the first token by the length of a prompt that runs alone, and time per token by the number
 * of concurrent sequences with short and with long prompts, both from its stream. The number of sequences is doubled until the server no longer
 * generates that many at once. Throws `PROFILE_UNMEASURED` if it does not stream.
 */
export async function sampleSequences(subject: Subject, options: JsonObject): Promise<SequenceSamples> {
  let lengths = subject.sizes ?? PROMPTS;
  const shortest = lengths[0] ?? 1;
  let calls = 0;
  const salt = freshSerial();
  const ask = (characters: number, maxTokens: number) => {
    calls += 1;
    // The serial comes first, so that the server's prompt cache has no more of it than of any new question.
    const input = { prompt: `${prose(characters, salt + calls)}. Tell a long story about this.` };
    return timed(subject, { kind: 'chat', with: { ...shared(options), maxTokens }, input });
  };
  await warmUp(() => ask(shortest, 2));
  for (const characters of lengths) {
    const start = performance.now();
    try {
      await steady(() => ask(characters, 2));
    } catch (error) {
      if (characters === shortest || !(error instanceof MillraceError) || !TOO_LONG.has(error.code)) throw error;
      lengths = lengths.filter((each) => each < characters);
      break;
    }
    const tooSlow = subject.sizes === undefined && performance.now() - start > MOST_SHARE * subject.timeLimitMs;
    if (tooSlow && subject.timeLimitMs > 0) {
      lengths = lengths.filter((each) => each <= characters);
      break;
    }
  }
  const longest = lengths.at(-1) ?? shortest;
  const prefill = new Cells<number>();
  const tokens = new Cells<number>();
  const decode = new Cells<`${number}/${number}`>();
  let counts = subject.batches;
  await rounds(subject, async (round) => {
    for (const characters of lengths) {
      const one = await ask(characters, 1);
      prefill.add(characters, firstAt(one) - one.startedAt);
      tokens.add(characters, one.reply.usage?.inputTokens ?? Math.ceil(characters / CHARACTERS_A_TOKEN));
    }
    for (const count of counts) {
      const all = await Promise.all(Array.from({ length: count }, () => ask(shortest, WRITTEN)));
      const gaps = pace(all);
      decode.add(`${count}/${shortest}`, ...gaps);
      if (longest > shortest && gaps.length > 0) {
        // A step reads the cache of every sequence: with long prompts it takes longer.
        const long = await Promise.all(Array.from({ length: count }, () => ask(longest, WRITTEN)));
        decode.add(`${count}/${longest}`, ...pace(long));
      }
      // At no time were all sequences generated together: the server's limit is lower.
      if (gaps.length === 0 && count > 1 && round === 0) {
        counts = counts.filter((each) => each < count);
        break;
      }
    }
  });
  const rows = decode.keys
    .filter((key) => decode.of(key).length >= leastSamples(subject))
    .map((key) => {
      const [batch = 1, characters = shortest] = key.split('/').map(Number);
      const cached = (median(tokens.of(characters)) ?? 1) + WRITTEN / 2;
      return { batch, tokens: cached, ms: decode.of(key) };
    });
  if (!rows.some(({ batch }) => batch === 1)) {
    const message = 'it does not stream, or ends after a token: the time of a token cannot be measured';
    throw new MillraceError('PROFILE_UNMEASURED', `${subject.model}: ${message}`, {
      endpoint: subject.backend.endpoint,
      fields: [{ field: subject.model, message }],
    });
  }
  const prompts = lengths.map((characters) => ({
    tokens: median(tokens.of(characters)) ?? 1,
    ms: prefill.of(characters),
  }));
  return {
    prefill: prompts,
    decode: rows.sort((a, b) => a.batch - b.batch || a.tokens - b.tokens),
    size: { typicalIn: typicalOf(prompts.map((row) => row.tokens)), typicalOut: TYPICAL_OUT },
    calls,
  };
}

/** Options shared by all prompts of a stage, except those that bind the reply, which would end it early. */
const shared = ({ system }: JsonObject): JsonObject => (system === undefined ? {} : { system });

const firstAt = ({ pieces, endedAt }: Timed): number => pieces[0] ?? endedAt;
const outputTokens = ({ usage }: Reply, pieces: number): number => usage?.outputTokens ?? pieces;

/**
 * Milliseconds per token of each sequence while all of them are generated: between the last one's first chunk and the
 * first one's last. Empty if there is no such time.
 */
export function pace(all: readonly Timed[]): number[] {
  const from = Math.max(...all.map(firstAt));
  const to = Math.min(...all.map(({ pieces }) => pieces.at(-1) ?? 0));
  return all.flatMap(({ reply, pieces }) => {
    const within = pieces.filter((at) => at >= from && at <= to);
    // A chunk may hold several tokens.
    const aPiece = Math.max(1, outputTokens(reply, pieces.length) / Math.max(1, pieces.length));
    const first = within[0];
    const last = within.at(-1);
    if (first === undefined || last === undefined || within.length < 2) return [];
    return [(last - first) / (within.length - 1) / aPiece];
  });
}

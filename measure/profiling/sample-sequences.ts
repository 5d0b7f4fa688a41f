import type { Reply } from '../../activities/connectors/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { SequenceSamples } from '../../placement/profiles/index.js';
import { prose, typicalOf } from './examples.js';
import { Cells, leastSamples, median, rounds, type Subject, type Timed, timed, warmUp } from './sampling.js';

/** Characters of the prompts whose reading is timed: a question, a paragraph, a page. */
const PROMPTS = [60, 400, 1_600];
/** Tokens that are written while their pace is timed: dozens of steps in a call of a second or so. */
const WRITTEN = 40;
/** A load without sizes is taken to write as much. */
const TYPICAL_OUT = 64;
/** Where the server does not count a prompt's tokens: English has about four characters in one. */
const CHARACTERS_A_TOKEN = 4;

/**
 * What an LLM takes: time to the first token by the length of a prompt that runs alone, and time of a token by the number of
 * sequences that are written at once, both as its stream shows them. Counts of sequences are doubled until the server no
 * longer writes that many at once. Throws `PROFILE_UNMEASURED` when it does not stream.
 */
export async function sampleSequences(subject: Subject, options: JsonObject): Promise<SequenceSamples> {
  const lengths = subject.sizes ?? PROMPTS;
  const shortest = lengths[0] ?? 1;
  let calls = 0;
  const ask = (characters: number, maxTokens: number) => {
    calls += 1;
    // The serial comes first, so that the server's cache of prompts knows no more of it than of any new question.
    const input = { prompt: `${prose(characters, calls)}. Tell a long story about this.` };
    return timed(subject, { kind: 'chat', with: { ...shared(options), maxTokens }, input });
  };
  await warmUp(() => ask(shortest, 2));
  const prefill = new Cells<number>();
  const tokens = new Cells<number>();
  const decode = new Cells<number>();
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
      decode.add(count, ...gaps);
      // Not once have all been written together: the server takes fewer.
      if (gaps.length === 0 && count > 1 && round === 0) {
        counts = counts.filter((each) => each < count);
        break;
      }
    }
  });
  const measured = decode.keys.filter((count) => decode.of(count).length >= leastSamples(subject));
  if (!measured.includes(1)) {
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
    decode: measured.sort((a, b) => a - b).map((batch) => ({ batch, ms: decode.of(batch) })),
    size: { typicalIn: typicalOf(prompts.map((row) => row.tokens)), typicalOut: TYPICAL_OUT },
    calls,
  };
}

/** Of a stage's options what every prompt of it has in common; what binds the reply would end it early. */
const shared = ({ system }: JsonObject): JsonObject => (system === undefined ? {} : { system });

const firstAt = ({ pieces, endedAt }: Timed): number => pieces[0] ?? endedAt;
const outputTokens = ({ usage }: Reply, pieces: number): number => usage?.outputTokens ?? pieces;

/**
 * Milliseconds a token of each sequence while all of them are written: between the last one's first piece and the first
 * one's last. Empty when there is no such time.
 */
export function pace(all: readonly Timed[]): number[] {
  const from = Math.max(...all.map(firstAt));
  const to = Math.min(...all.map(({ pieces }) => pieces.at(-1) ?? 0));
  return all.flatMap(({ reply, pieces }) => {
    const within = pieces.filter((at) => at >= from && at <= to);
    // A piece may hold several tokens.
    const aPiece = Math.max(1, outputTokens(reply, pieces.length) / Math.max(1, pieces.length));
    const first = within[0];
    const last = within.at(-1);
    if (first === undefined || last === undefined || within.length < 2) return [];
    return [(last - first) / (within.length - 1) / aPiece];
  });
}

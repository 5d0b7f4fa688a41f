import { MillraceError } from '../../../pipelines/errors.js';
import type { Json, JsonObject } from '../../../pipelines/json.js';
import type { Call, Reply } from '../../connectors/connector.js';
import { ranked } from '../../connectors/scores.js';
import { shared } from './usage.js';

/** How calls of one kind go out as one, as `Joining` of the connectors' port says it. */
export interface Join {
  /** The texts that a call has for the model; undefined for a call that cannot be joined: one of media, or of none. */
  texts(input: JsonObject): readonly string[] | undefined;
  /** The input of the joined call. */
  input(calls: readonly Call[]): JsonObject;
  /** Each call's part of the joined call's output. Throws `INVALID_OUTPUT` if it has not one for each text. */
  parts(output: JsonObject, calls: readonly Call[]): readonly JsonObject[];
}

const embed: Join = {
  texts({ text, texts, ...more }) {
    if (Object.keys(more).length > 0) return undefined;
    return typeof text === 'string' ? [text] : (texts as readonly string[] | undefined);
  },
  input: (calls) => ({ texts: calls.flatMap(({ input }) => embed.texts(input) ?? []) }),
  parts({ embeddings }, calls) {
    const given = eachOf(embeddings, calls, embed);
    return calls.map(({ input }, i) =>
      Array.isArray(input.texts) ? { embeddings: given[i] ?? [] } : { embedding: given[i]?.[0] ?? [] },
    );
  },
};

const classify: Join = {
  texts: ({ text, ...more }) => (typeof text === 'string' && Object.keys(more).length === 0 ? [text] : undefined),
  input: embed.input,
  parts: ({ results }, calls) => eachOf(results, calls, classify).map(([result]) => result as JsonObject),
};

const rerank: Join = {
  // A call of pairs is a batch already.
  texts: ({ passages }) => (passages as readonly JsonObject[] | undefined)?.map(({ text }) => text as string),
  input: (calls) => ({
    pairs: calls.flatMap(({ input }) =>
      (input.passages as readonly JsonObject[]).map(({ text = '' }) => ({ query: input.query ?? '', text })),
    ),
  }),
  parts({ scores }, calls) {
    const given = eachOf(scores, calls, rerank);
    return calls.map(({ input, with: options }, i) =>
      ranked(given[i] as readonly number[], input.passages as readonly JsonObject[], {
        top: options.top as number | undefined,
      }),
    );
  },
};

/** By kind. */
export const JOINS: Readonly<Record<string, Join>> = { embed, classify, rerank };

/** A joined call's list, cut into each call's part. */
function eachOf(list: Json | undefined, calls: readonly Call[], join: Join): readonly Json[][] {
  const counts = calls.map(({ input }) => join.texts(input)?.length ?? 0);
  const wanted = counts.reduce((sum, count) => sum + count, 0);
  const given = Array.isArray(list) ? (list as readonly Json[]) : [];
  if (given.length !== wanted) {
    throw new MillraceError('INVALID_OUTPUT', `${given.length} results of a batch of ${wanted}`);
  }
  const starts = counts.map((_, i) => counts.slice(0, i).reduce((sum, count) => sum + count, 0));
  return counts.map((count, i) => given.slice(starts[i], (starts[i] ?? 0) + count));
}

/** Each call's reply: its part of the output, and its share of the usage by the length of its texts. */
export function repliesOf(join: Join, { output, usage }: Reply, calls: readonly Call[]): readonly Reply[] {
  const lengths = calls.map(({ input }) => (join.texts(input) ?? []).reduce((sum, { length }) => sum + length, 0));
  const usages = usage && shared(usage, lengths);
  return join.parts(output, calls).map((part, i) => ({ output: part, ...(usages?.[i] && { usage: usages[i] }) }));
}

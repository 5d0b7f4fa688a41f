import type { JsonObject } from '../../pipelines/json.js';
import type { Call, Reply, Usage } from './connector.js';

/** The pairs of a `classify` or `rerank` call that has a list of them, as `Call` says; undefined for every other call. */
export function pairsIn({ kind, input }: Call): readonly JsonObject[] | undefined {
  if (kind !== 'classify' && kind !== 'rerank') return undefined;
  return Array.isArray(input.pairs) ? (input.pairs as readonly JsonObject[]) : undefined;
}

/** A call of pairs at a server that takes one pair in a request: a request for each, all at once. */
export async function oneByOne(
  call: Call,
  pairs: readonly JsonObject[],
  invoke: (call: Call) => Promise<Reply>,
): Promise<Reply> {
  const replies = await Promise.all(pairs.map((pair) => invoke({ ...call, input: inputOf(call, pair) })));
  const usages = replies.flatMap(({ usage }) => usage ?? []);
  return {
    output:
      call.kind === 'classify'
        ? { results: replies.map(({ output }) => output) }
        : { scores: replies.map(({ output }) => scoreOf(output)) },
    ...(usages.length > 0 && { usage: sumOf(usages) }),
  };
}

/** A pair as the input of a call of its own. */
function inputOf({ kind }: Call, pair: JsonObject): JsonObject {
  if (kind === 'classify') return pair;
  const { query = '', text = '' } = pair;
  return { query, passages: [{ id: '0', text }] };
}

/** The score of the only passage. A number that is none is found by those who read it. */
function scoreOf({ passages }: JsonObject): number {
  const [passage] = (Array.isArray(passages) ? passages : []) as readonly JsonObject[];
  return Number(passage?.score ?? Number.NaN);
}

function sumOf(usages: readonly Usage[]): Usage {
  const inputTokens = usages.reduce((sum, usage) => sum + (usage.inputTokens ?? 0), 0);
  const outputTokens = usages.reduce((sum, usage) => sum + (usage.outputTokens ?? 0), 0);
  return { ...(inputTokens > 0 && { inputTokens }), ...(outputTokens > 0 && { outputTokens }) };
}

import type { Embedder } from '../cache/index.js';
import type { WorkerKind } from '../stage/worker-kind.js';
import { ToolVectors } from './tool-vectors.js';

/** A tool as far as it is searched. */
interface Described {
  readonly name: string;
  readonly description: string;
}

/**
 * Stage kind that finds the tools whose descriptions are nearest to a text. Vectors of tools are kept in memory, because
 * an agent's tools are the same in every run. Of a text that the embedder rejects, the ends are embedded. A tool whose
 * text it rejects even so is found by its name only; where it rejects the text that is looked for, the first tools are found. An embedder that rejects
 * all of them fails the search with its error.
 * @param embedderFor an `embed` pool by name; throws `MODEL_NOT_CONFIGURED`
 */
export function toolSearchKind(embedderFor: (name: string) => Embedder): WorkerKind {
  const vectors = new ToolVectors();
  return async ({ with: { embedder: name, shown }, input, tenant, insertedBy, priority }, { signal }) => {
    const { query, tools } = input as unknown as { readonly query: string; readonly tools: readonly Described[] };
    const embedder = embedderFor(String(name));
    const caller = { tenant, insertedBy, priority };
    const [wanted, ...all] = await vectors.of(embedder, [query, ...tools.map(textOf)], signal, caller);
    const scores = all.map((vector, i) => ({
      i,
      score: dot(wanted, vector) + named(query, tools[i]?.name),
    }));
    // Of equal tools the first: a list that changes would make servers read the prompt anew.
    const best = scores.toSorted((a, b) => b.score - a.score || a.i - b.i).slice(0, Number(shown));
    return { names: best.sort((a, b) => a.i - b.i).map(({ i }) => tools[i]?.name ?? '') };
  };
}

/** `get_weather: The weather in a city now` without what joins words. */
const textOf = ({ name, description }: Described): string => `${name.replace(/[_-]+/g, ' ')}: ${description}`;

/** Both vectors have length 1: their product is their cosine. Without one of them nothing is known. */
const dot = (a: Float32Array | undefined, b: Float32Array | undefined): number =>
  a && b ? a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0) : 0;

/** A tool that the text names is wanted, whatever its description says. */
const named = (query: string, name = ''): number => (name !== '' && query.includes(name) ? 1 : 0);

import { wellFormed } from '../../pipelines/well-formed.js';
import type { Embedder } from '../cache/index.js';
import type { WorkerKind } from '../stage/worker-kind.js';
import { ToolVectors } from './tool-vectors.js';

/**
 * Longest text that is embedded, in UTF-16 units: of a longer one its beginning and end, half of that each. What a tool or a prompt is about stands
 * there, and a long text may exceed the embedder's context.
 */
const LONGEST = 1_000;

/** A tool as far as it is searched. */
interface Described {
  readonly name: string;
  readonly description: string;
}

/**
 * Stage kind that finds the tools whose descriptions are nearest to a text. Vectors of tools are kept in memory, because
 * an agent's tools are the same in every run. A tool whose text the embedder rejects is found by its name only; where it rejects the text that is
 * looked for, the first tools are found.
 * @param embedderFor an `embed` pool by name; throws `MODEL_NOT_CONFIGURED`
 */
export function toolSearchKind(embedderFor: (name: string) => Embedder): WorkerKind {
  const vectors = new ToolVectors();
  return async ({ with: { embedder: name, shown }, input, tenant, insertedBy, priority }, { signal }) => {
    const { query, tools } = input as unknown as { readonly query: string; readonly tools: readonly Described[] };
    const embedder = embedderFor(String(name));
    const caller = { tenant, insertedBy, priority };
    const [wanted, ...all] = await vectors.of(embedder, [query, ...tools.map(textOf)].map(ends), signal, caller);
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

/** The text, or its beginning and end. */
function ends(text: string): string {
  if (text.length <= LONGEST) return text;
  const half = LONGEST / 2;
  return wellFormed(`${text.slice(0, half)}\n…\n${text.slice(-half)}`);
}

/** Both vectors have length 1: their product is their cosine. Without one of them nothing is known. */
const dot = (a: Float32Array | undefined, b: Float32Array | undefined): number =>
  a && b ? a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0) : 0;

/** A tool that the text names is wanted, whatever its description says. */
const named = (query: string, name = ''): number => (name !== '' && query.includes(name) ? 1 : 0);

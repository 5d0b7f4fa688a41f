import { sourcesOf } from '../plan/binding.js';
import { cacheKeyOf, isStage, type Step, type StreamPlan } from '../plan/plan.js';
import { answersInForm, type Streaming, streamedFields } from '../plan/streams.js';
import { takenBy } from '../stages/traits.js';
import { invalid } from './invalid.js';
import { markStreamed } from './streamed.js';

/**
 * The step with its streaming edges; the steps that it reads are marked as streamed in `earlier`. Throws
 * `INVALID_PIPELINE` for an edge that an option rules out.
 */
export function withStreams<S extends Streaming>(step: S, earlier: Step[]): S {
  const streams: Record<string, StreamPlan> = {};
  for (const { field, edge, source, collected } of streamedFields(step, earlier)) {
    const { from, of } = edge;
    const producer = earlier.find(({ id }) => id === from) as Streaming;
    if (isStage(step)) checkCacheKey(step, field, edge, producer);
    if (isStage(producer) && source === `${from}.said.${of}` && answersInForm(producer)) {
      throw invalid(
        `${from}.output`,
        `gives the answer a form: "${step.id}" would read its JSON as ${source}; pass a text of ${from}.data`,
      );
    }
    if (collected !== undefined) continue;
    if (isStage(producer) && producer.policy.hedge) {
      throw invalid(
        `${from}.hedge`,
        `cannot be used with a stream: "${step.id}" reads ${source} before it is known which call wins; ${instead(edge, producer)}`,
      );
    }
    const restarts = isStage(producer) && producer.onCut === 'restart';
    streams[field] = { ...edge, ...(restarts && { restarts }) };
    // Of a voice also what reads its pieces as a list counts: it is marked when the graph is whole.
    if (of !== 'chunks') markStreamed(earlier, from, of);
  }
  return Object.keys(streams).length === 0 ? step : { ...step, streams };
}

function checkCacheKey(step: Extract<Streaming, { input: unknown }>, field: string, edge: StreamPlan, from: Streaming) {
  if (!takenBy(step).includes(field) || !sourcesOf(cacheKeyOf(step)).includes(edge.from)) return;
  const unfinished = `its key is a text that is not finished when ${edge.from}.${edge.of} is read`;
  throw invalid(`${step.id}.cache`, `${unfinished}; ${instead(edge, from)}`);
}

/** By the kind of the stage, or by its stream. */
const WHOLE_FIELDS: Readonly<Record<string, string>> = {
  agent: 'said.text',
  transcribe: 'segments',
  entries: 'items',
  chunks: 'audio',
};

/** What to read of a producer instead of its stream. */
function instead({ from, of }: StreamPlan, producer: Streaming): string {
  const field = WHOLE_FIELDS[producer.kind] ?? WHOLE_FIELDS[of] ?? 'text';
  const whole = isStage(producer) ? `${from}.${field}` : `the value of ${from}`;
  return `pass ${whole}, which is read when the stage has ended`;
}

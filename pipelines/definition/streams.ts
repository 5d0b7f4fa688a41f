import { sourcesOf } from '../plan/binding.js';
import { cacheKeyOf, isStage, type StagePlan, type Step, type StreamPlan } from '../plan/plan.js';
import { streamedFields } from '../plan/streams.js';
import { takenBy } from '../stages/traits.js';
import { invalid } from './invalid.js';

/**
 * The step with its streaming edges; the steps that it reads are marked as streamed in `earlier`. Throws
 * `INVALID_PIPELINE` for an edge that an option rules out.
 */
export function withStreams(step: StagePlan, earlier: Step[]): StagePlan {
  const streams: Record<string, StreamPlan> = {};
  for (const { field, edge, collected } of streamedFields(step, earlier)) {
    const { from, of } = edge;
    const producer = earlier.find(({ id }) => id === from) as StagePlan;
    const whole = `pass ${from}.${of === 'entries' ? 'items' : 'text'}, which is read when the stage has ended`;
    if (takenBy(step).includes(field) && sourcesOf(cacheKeyOf(step)).includes(from)) {
      throw invalid(`${step.id}.cache`, `its key is a text that is not finished when ${from}.${of} is read; ${whole}`);
    }
    if (collected !== undefined) continue;
    if (producer.policy.hedge) {
      throw invalid(
        `${from}.hedge`,
        `cannot be used with a stream: "${step.id}" reads ${from}.${of} before it is known which call wins; ${whole}`,
      );
    }
    streams[field] = { ...edge, ...(producer.onCut === 'restart' && { restarts: true }) };
    markStreamed(producer, of, earlier);
  }
  return Object.keys(streams).length === 0 ? step : { ...step, streams };
}

function markStreamed(producer: StagePlan, of: string, earlier: Step[]): void {
  const at = earlier.findIndex((step) => isStage(step) && step.id === producer.id);
  const streamed = [...new Set([...(producer.streamed ?? []), of])].sort();
  earlier[at] = { ...producer, streamed };
}

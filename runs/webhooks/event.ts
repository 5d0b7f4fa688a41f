import type { JsonObject } from '../../pipelines/json.js';
import type { WebhookEvent } from '../../pipelines/run/index.js';
import { type RunDocument, withoutPlace } from '../document.js';

/**
 * Most bytes of an output in an event. The Standard Webhooks specification asks for small bodies; each attempt is recorded in a
 * history, and eleven of them for several targets must fit.
 */
const MOST_OUTPUT_BYTES = 32_768;

/**
 * The event of a run that has ended: its document without `input`, `stages` and the place in the sources, which are at `links.self`. An output above the limit is
 * left out, with `outputOmitted`.
 */
export function webhookEventOf(document: RunDocument): WebhookEvent {
  const { input: _, stages: __, output, ...run } = withoutPlace(document);
  const fits = output !== undefined && Buffer.byteLength(JSON.stringify(output)) <= MOST_OUTPUT_BYTES;
  return {
    // Signatures are of `<id>.<timestamp>.<body>`: an id has no full stop, and a run's has none.
    id: `msg_${run.id}`,
    type: `run.${run.status}` as WebhookEvent['type'],
    timestamp: run.endedAt ?? new Date().toISOString(),
    data: {
      ...(run as unknown as JsonObject),
      ...(fits && { output }),
      ...(output !== undefined && !fits && { outputOmitted: true }),
    },
  };
}

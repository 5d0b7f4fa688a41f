import { withoutPlace } from '../../runs/document.js';
import { failureOf } from '../../runs/failed.js';
import type { ServerEvent } from '../http/event-stream.js';
import type { Piece } from './model-run.js';
import { answerTo, type ResponseOf } from './responses-reply.js';
import type { ResponsesEvent, ResponseWriter } from './responses-writer.js';

export const asEvent = (event: ResponsesEvent): ServerEvent => ({ event: event.type, data: JSON.stringify(event) });

export interface Streaming {
  readonly writer: ResponseWriter;
  readonly of: ResponseOf;
  /**
   * Whether the first events, which name the response, wait for the first piece, so that a run that fails at once gets
   * an error status.
   */
  readonly deferred: boolean;
}

/** The events of a response. They are the same, with the same numbers, whenever the run's events are read. */
export async function* responseEvents(
  { writer, of, deferred }: Streaming,
  pieces: AsyncIterable<Piece>,
): AsyncGenerator<ResponsesEvent> {
  let begun = !deferred;
  if (begun) yield* writer.begin();
  for await (const piece of pieces) {
    if ('document' in piece && piece.document.status !== 'succeeded') throw failureOf(withoutPlace(piece.document));
    if (!begun) yield* writer.begin();
    begun = true;
    if ('document' in piece) yield* writer.end(answerTo(of, piece.document));
    else yield* writer.told(piece);
  }
}

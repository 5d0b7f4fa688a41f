import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyReply } from 'fastify';
import type { MillraceError } from '../../pipelines/errors.js';
import { asksPeople } from '../../pipelines/plan/people.js';
import { type Leavable, onLeaveOf } from '../../runs/leaving.js';
import { EventStream, type ServerEvent } from '../http/event-stream.js';
import { asMillraceError } from '../http/problem.js';

/** Names the run, as a header and as the first line of a stream, which clients skip as a comment. */
const RUN_HEADER = 'millrace-run';

/**
 * When the stream is opened without an event, in milliseconds. Until then an error has a status of its own; afterwards
 * comments keep the connection open. Where the run outlives its client, the client gets the run's id sooner.
 */
const OPEN_AFTER_MS = { usual: 10_000, outliving: 500 };

/** A client of a run that outlives it, or that asks people, is given the run's id soon: it may have to come back. */
export const opensAs = (order: Leavable): keyof typeof OPEN_AFTER_MS =>
  onLeaveOf(order) === 'continue' || asksPeople(order.pipeline.plan) ? 'outliving' : 'usual';

/**
 * Responds with a stream of events. An error before the first one is thrown, for an error response; a later one is sent
 * as the events that `failed` creates, and ends the stream.
 */
export async function sendAsEvents(
  reply: FastifyReply,
  events: AsyncGenerator<ServerEvent>,
  failed: (error: MillraceError) => readonly ServerEvent[],
  opens: keyof typeof OPEN_AFTER_MS = 'usual',
): Promise<void> {
  const first = events.next();
  const timer = new AbortController();
  await Promise.race([
    first,
    sleep(OPEN_AFTER_MS[opens], undefined, { signal: timer.signal }).catch(() => undefined),
  ]).finally(() => timer.abort());
  const stream = new EventStream(reply);
  const run = reply.getHeader(RUN_HEADER);
  if (opens === 'outliving' && typeof run === 'string') stream.comment(`${RUN_HEADER} ${run}`);
  try {
    for (let next = await first; !next.done; next = await events.next()) {
      await stream.send(next.value);
      if (stream.left.aborted) return;
    }
  } catch (error) {
    const known = asMillraceError(error);
    Object.assign(reply.request.notes, { code: known.code, error });
    for (const event of failed(known)) await stream.send(event);
  } finally {
    stream.end();
    // The client may have disconnected: stops the generator.
    await events.return(undefined);
  }
}

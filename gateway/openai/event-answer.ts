import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyReply } from 'fastify';
import type { MillraceError } from '../../pipelines/errors.js';
import { EventStream, type ServerEvent } from '../http/event-stream.js';
import { asMillraceError } from '../http/problem.js';

/**
 * Until there is something to tell, an error can still have a status of its own. After this time, in milliseconds, the
 * stream is opened all the same: its comments keep the connection from being cut.
 */
const OPEN_AFTER_MS = 10_000;

/**
 * Answers with events as they come. An error before the first is thrown, for the usual answer; a later one becomes the event
 * that `failed` makes of it, and the stream ends there.
 */
export async function sendAsEvents(
  reply: FastifyReply,
  events: AsyncGenerator<ServerEvent>,
  failed: (error: MillraceError) => ServerEvent,
): Promise<void> {
  const first = events.next();
  const timer = new AbortController();
  await Promise.race([first, sleep(OPEN_AFTER_MS, undefined, { signal: timer.signal }).catch(() => undefined)]).finally(
    () => timer.abort(),
  );
  const stream = new EventStream(reply);
  try {
    for (let next = await first; !next.done; next = await events.next()) {
      await stream.send(next.value);
      if (stream.left.aborted) return;
    }
  } catch (error) {
    const known = asMillraceError(error);
    Object.assign(reply.request.notes, { code: known.code, error });
    await stream.send(failed(known));
  } finally {
    stream.end();
    // A client that has left: what makes the events is told.
    await events.return(undefined);
  }
}

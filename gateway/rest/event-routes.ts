import type { FastifyInstance, FastifyReply } from 'fastify';
import { END, type Followed, followRun, isPosition } from '../../runs/follow.js';
import { findRun } from '../../runs/read.js';
import { callerOf, invalidHeader } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { EventStream } from '../http/event-stream.js';
import { asMillraceError, problemOf } from '../http/problem.js';
import { FOLLOW_RUN } from './run-docs.js';

/**
 * `GET /v1/runs/{id}/events`: the events of a run as server-sent events: those of its stages (`RunEvent`), and finally
 * `run` with the run's document. With `Last-Event-ID` the stream continues after that event; after `run` the response
 * is 204, which stops an `EventSource`.
 */
export async function eventRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  app.get<{ Params: { id: string } }>(
    '/v1/runs/:id/events',
    { config: { doc: FOLLOW_RUN } },
    async (request, reply) => {
      const { id } = request.params;
      request.notes.runId = id;
      const caller = callerOf(request);
      const after = positionOf(request.headers['last-event-id']);
      const leave = deps.streams.take(caller.tenant);
      try {
        await findRun(deps, id, caller);
        if (after === END) return await reply.code(204).send();
        const gone = new AbortController();
        await sendEvents(reply, followRun(deps, { id, caller }, { after, gone: gone.signal }), gone);
        return reply;
      } finally {
        leave();
      }
    },
  );
}

/** Responds with a run's events. `gone` aborts when the client disconnects. */
export async function sendEvents(
  reply: FastifyReply,
  events: AsyncGenerator<Followed>,
  gone: AbortController,
): Promise<void> {
  const stream = new EventStream(reply);
  stream.left.addEventListener('abort', () => gone.abort(), { once: true });
  if (stream.left.aborted) gone.abort();
  try {
    for await (const each of events) {
      if ('document' in each) await stream.send({ id: each.id, event: 'run', data: JSON.stringify(each.document) });
      else await stream.send({ id: each.id, event: each.event.type, data: each.json });
    }
  } catch (error) {
    const problem = problemOf(asMillraceError(error), reply.request);
    Object.assign(reply.request.notes, { code: problem.code, error });
    await stream.send({ event: 'error', data: JSON.stringify(problem) });
  } finally {
    stream.end();
  }
}

function positionOf(header: string | string[] | undefined): string | undefined {
  if (header === undefined || header === '') return undefined;
  if (typeof header === 'string' && isPosition(header)) return header;
  throw invalidHeader('Last-Event-ID', 'must be the id of an event of this run');
}

import type { FastifyInstance, FastifyReply } from 'fastify';
import { withoutPlace } from '../../runs/document.js';
import { END, type Followed, followRun, isPosition } from '../../runs/follow.js';
import { readEnded } from '../../runs/paced-runs.js';
import { findRun } from '../../runs/read.js';
import type { ArtifactStore } from '../../stores/artifacts/index.js';
import { type Caller, callerOf, holds, invalidHeader } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { documentTurns, sharedJson } from '../http/document-turns.js';
import { EventStream } from '../http/event-stream.js';
import { leaving } from '../http/leaving.js';
import { asMillraceError, problemOf } from '../http/problem.js';
import { type AudioForm, audioFormOf, withData } from './audio-events.js';
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
      const { form } = audioFormOf(request.query);
      const after = positionOf(request.headers['last-event-id']);
      const leave = deps.streams.take(caller.tenant);
      try {
        const { running } = await findRun(deps, id, caller);
        if (after === END) return await reply.code(204).send();
        const gone = new AbortController();
        // Of one that has ended this is a request for its document.
        const document = running ? undefined : await readEnded(deps, { id, tenant: caller.tenant }, leaving(reply));
        const events = followRun(deps, { id, caller }, { after, gone: gone.signal, document });
        await sendEvents(reply, events, { gone, form, caller, artifacts: deps.artifacts });
        return reply;
      } finally {
        leave();
      }
    },
  );
}

export interface Sending {
  /** Aborts when the client disconnects. */
  readonly gone: AbortController;
  /** How the client wants audio. */
  readonly form: AudioForm;
  /** Without the permission to read it is not told of the place in the author’s sources where a run has failed. */
  readonly caller: Caller;
  readonly artifacts: Pick<ArtifactStore, 'read'>;
}

/** Responds with a run's events. */
export async function sendEvents(
  reply: FastifyReply,
  events: AsyncGenerator<Followed>,
  { gone, form, caller, artifacts }: Sending,
): Promise<void> {
  const { tenant } = caller;
  const stream = new EventStream(reply);
  stream.left.addEventListener('abort', () => gone.abort(), { once: true });
  if (stream.left.aborted) gone.abort();
  const { response } = reply.request;
  try {
    for await (const each of events) {
      if ('document' in each) {
        const { id, document } = each;
        const shown = holds(caller, 'read') ? document : withoutPlace(document);
        await documentTurns.in(tenant, () => stream.send({ id, event: 'run', data: sharedJson(shown) }));
      } else {
        const { id, event, json } = each;
        const bytes = event.type === 'stage.audio' && form === 'inline' ? event.audio.bytes : 0;
        // Where clients hold too much that they have not read, audio is sent by reference only.
        const isRead = event.type === 'stage.audio' && bytes > 0 && (response?.takeBuffer(bytes) ?? true);
        try {
          const data = isRead ? JSON.stringify(await withData(artifacts, tenant, event)) : json;
          await stream.send({ id, event: event.type, data });
        } finally {
          if (isRead) response?.give(bytes);
        }
      }
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

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { MillraceError } from '../../pipelines/errors.js';
import { isJsonObject, type Json } from '../../pipelines/json.js';
import { cancelRun } from '../../runs/cancel.js';
import { eraseRun } from '../../runs/erase.js';
import { followRun } from '../../runs/follow.js';
import type { Paced } from '../../runs/paced-runs.js';
import { waitForRun } from '../../runs/wait.js';
import { type Caller, callerOf, holds, requirePermission } from '../access/caller.js';
import { RUN_AND_READ } from '../access/permissions.js';
import { takeJson } from '../http/json-body.js';
import { leaving } from '../http/leaving.js';
import { CANCEL_RESPONSE, DELETE_RESPONSE, GET_RESPONSE, LIST_INPUT_ITEMS } from './docs-stored.js';
import { errorBody, invalidParam } from './error-body.js';
import { sendAsEvents } from './event-answer.js';
import { pageOf } from './list-page.js';
import { piecesOf } from './model-run.js';
import type { ResponsesDoor } from './responses-routes.js';
import { asEvent, responseEvents } from './responses-stream.js';
import { type ResponsesEvent, ResponseWriter } from './responses-writer.js';
import { messageItemsOf, type StoredResponse } from './stored-responses.js';

/** How long the response to a cancellation waits for the run's end, in milliseconds; a stage stops within a second. */
const CANCELLED_MS = 3_000;
/** Decisions and cancellations have no body to speak of. */
const MOST_BYTES = 16_384;

type OfResponse = { Params: { id: string } };

/** `GET`, `DELETE /v1/responses/{id}`, `POST …/cancel` and `GET …/input_items`. */
export function storedRoutes(app: FastifyInstance, door: ResponsesDoor): void {
  const { deps, responses } = door;
  takeJson(app, { mayBeEmpty: true });
  const found = async (request: FastifyRequest<OfResponse>, how: Paced) => {
    const stored = await responses.find(request.params.id, callerOf(request), how);
    request.notes.runId = stored.of.run;
    return stored;
  };

  app.get<OfResponse>('/v1/responses/:id', { config: { doc: GET_RESPONSE } }, async (request, reply) => {
    const { stream, after } = wantedOf(request.query);
    const caller = callerOf(request);
    const leave = stream ? deps.streams.take(caller.tenant) : () => undefined;
    try {
      const stored = await found(request, { signal: leaving(reply) });
      reply.header('millrace-run', stored.of.run);
      if (!stream) return responses.body(stored);
      await sendFrom(door, { request, reply }, stored, after);
      return reply;
    } finally {
      leave();
    }
  });

  app.post<OfResponse>(
    '/v1/responses/:id/cancel',
    { bodyLimit: MOST_BYTES, config: { doc: CANCEL_RESPONSE } },
    async (request, reply) => {
      const caller = callerOf(request);
      const signal = leaving(reply);
      const stored = await found(request, { waits: 'acts', signal });
      const { id, tenant, status } = stored.document;
      if (status !== 'running') {
        // Nothing is left to cancel: what remains is to read it.
        requirePermission(caller, 'read');
        return responses.body(stored);
      }
      await cancelRun(deps, id);
      await waitForRun(deps, { id, tenant }, CANCELLED_MS, signal);
      return responses.body(cancelledFor(caller, await found(request, { waits: 'no' })));
    },
  );

  app.delete<OfResponse>(
    '/v1/responses/:id',
    { bodyLimit: MOST_BYTES, config: { permission: RUN_AND_READ, doc: DELETE_RESPONSE } },
    async (request, reply) => {
      const { of } = await found(request, { signal: leaving(reply) });
      await eraseRun(deps, of.run, callerOf(request), leaving(reply));
      return { id: request.params.id, object: 'response', deleted: true };
    },
  );

  app.get<OfResponse>(
    '/v1/responses/:id/input_items',
    { config: { doc: LIST_INPUT_ITEMS } },
    async (request, reply) => {
      const stored = await found(request, { signal: leaving(reply) });
      return pageOf(messageItemsOf(responses.turnsBefore(stored, 'input'), stored.of.run), request.query);
    },
  );
}

const STARTING_AFTER = /^\d{1,9}$/;
const KNOWN: ReadonlySet<string> = new Set(['stream', 'starting_after', 'include', 'include[]', 'include_obfuscation']);

function wantedOf(query: unknown): { readonly stream: boolean; readonly after: number } {
  const given = isJsonObject(query as Json) ? (query as Record<string, Json>) : {};
  const unknown = Object.keys(given).find((name) => !KNOWN.has(name));
  if (unknown !== undefined) throw invalidParam(unknown, 'is not a known parameter');
  const { stream = 'false', starting_after: after } = given;
  if (stream !== 'true' && stream !== 'false') throw invalidParam('stream', 'must be true or false');
  if (after === undefined) return { stream: stream === 'true', after: -1 };
  if (typeof after !== 'string' || !STARTING_AFTER.test(after))
    throw invalidParam('starting_after', 'must be the sequence_number of an event');
  if (stream === 'false') throw invalidParam('starting_after', 'requires stream=true');
  return { stream: true, after: Number(after) };
}

/**
 * Streams the events of a response after a sequence number. The last event is sent in any case: where events of the run
 * were lost, the numbers of two readings can differ, and a client that has its end does not come back.
 */
async function sendFrom(
  { deps }: ResponsesDoor,
  { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
  { of, document }: StoredResponse,
  after: number,
): Promise<void> {
  const { model } = of;
  const writer = new ResponseWriter(of);
  const caller = callerOf(request);
  const events = followRun(deps, { id: of.run, caller }, { gone: leaving(reply), document });
  const all = responseEvents({ writer, of, deferred: false }, piecesOf(events, model, of.run));
  async function* wanted() {
    for await (const event of all) {
      if (event.sequence_number > after) yield asEvent(event);
      else if (isLast(event)) yield asEvent({ ...event, sequence_number: after + 1 });
    }
  }
  const failed = (error: MillraceError) => [...writer.failed(errorBody(error, request))].map(asEvent);
  await sendAsEvents(reply, wanted(), failed, 'outliving');
}

const isLast = ({ type }: ResponsesEvent): boolean => type === 'response.completed' || type === 'response.incomplete';

/** A response may be another key's: to callers that may not read, a cancellation shows nothing of its request and answer. */
function cancelledFor(caller: Caller, stored: StoredResponse): StoredResponse {
  if (holds(caller, 'read')) return stored;
  if (!['running', 'cancelled'].includes(stored.document.status)) requirePermission(caller, 'read');
  return { ...stored, of: { ...stored.of, echo: {} } };
}

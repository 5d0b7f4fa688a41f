import type { FastifyReply, FastifyRequest } from 'fastify';
import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import { readPaced } from '../../runs/paced-runs.js';
import { START } from '../../stores/events/index.js';
import { callerOf } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { EventStream } from '../http/event-stream.js';
import { leaving } from '../http/leaving.js';
import { asMillraceError, problemOf } from '../http/problem.js';
import { baseUrlOf } from '../http/public-url.js';
import { resumeCall } from '../waiting/follow-call.js';
import { answerOf } from './call-tool.js';
import { NumberedMessages, type Told } from './numbered-messages.js';
import { eventId, placeOf } from './place.js';
import { runMessage } from './progress.js';

/** `GET /mcp`: continues the stream of a call after `Last-Event-ID`. */
export async function resumeStream(
  deps: GatewayDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  closing: AbortSignal,
): Promise<FastifyReply> {
  const { 'last-event-id': last } = request.headers;
  if (typeof last !== 'string') {
    // The protocol's way of saying that there is no stream of unsolicited messages.
    const message = 'GET /mcp continues the stream of a call and needs Last-Event-ID; send messages by POST';
    void reply.header('allow', 'POST');
    throw new MillraceError('METHOD_NOT_ALLOWED', message, { fields: [{ field: 'Last-Event-ID', message }] });
  }
  const { request: id, token, run, ...sent } = placeOf(last);
  const caller = callerOf(request);
  // Before the stream begins: a client that is refused comes again, while a result in the stream is the last.
  const { document: read } = await readPaced(deps, run, caller, { signal: leaving(reply) });
  const leave = deps.streams.take(caller.tenant);
  // At a shutdown the stream ends without the response to its call: the client continues it, at another gateway.
  const stream = new EventStream(reply);
  const write = (message: object, at?: string) =>
    stream.send({ ...(at !== undefined && { id: at }), event: 'message', data: JSON.stringify(message) });
  const messages = new NumberedMessages(sent);
  const tell = async (told: Told, message: string, meta?: JsonObject) => {
    if (token === undefined) return;
    const params = { progressToken: token, progress: told.progress, message, ...(meta && { _meta: meta }) };
    const place = eventId({ request: id, token, run, ...told });
    await write({ jsonrpc: '2.0', method: 'notifications/progress', params }, place);
  };
  let begun: Promise<void> = Promise.resolve();
  const base = baseUrlOf(deps.publicUrl, request);
  try {
    const answer = await answerOf(deps, { caller, base, response: request.response }, () =>
      resumeCall(
        deps,
        { caller },
        { run, after: sent.after ?? START, read },
        {
          cancelled: stream.left,
          closing,
          started: (id) => {
            request.notes.runId = id;
            if (sent.progress === 0) begun = tell(messages.count(), ...runMessage(id));
          },
          event: async (event, at) => {
            await begun;
            for (const { message, told } of messages.of(event, at)) await tell(told, message);
          },
          replay: true,
          holdsSlot: true,
        },
      ),
    );
    await begun;
    await write({ jsonrpc: '2.0', id, result: 'result' in answer ? answer.result : {} });
  } catch (thrown) {
    const error = asMillraceError(thrown);
    Object.assign(request.notes, { code: error.code, error });
    await write({ jsonrpc: '2.0', id, error: { code: -32603, message: problemOf(error, request).detail } });
  } finally {
    stream.end();
    leave();
  }
  return reply;
}

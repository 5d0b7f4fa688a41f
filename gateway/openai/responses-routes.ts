import type { FastifyInstance } from 'fastify';
import type { Json } from '../../pipelines/json.js';
import { callerOf, idempotencyKeyOf } from '../access/caller.js';
import { persistenceOf } from '../access/retries.js';
import type { GatewayDeps } from '../deps.js';
import type { ServerEvent } from '../http/event-stream.js';
import { takeJson } from '../http/json-body.js';
import { answerFields, answerOf } from './chat-reply.js';
import { inputOf } from './conversation.js';
import { RESPOND } from './docs.js';
import { errorBody } from './error-body.js';
import { sendAsEvents } from './event-answer.js';
import { runStreamed, runToEnd, type StreamedRun } from './model-run.js';
import { type Model, type Models, onlyOutputs } from './models.js';
import { type ResponsesEvent, ResponseWriter, responseOf } from './responses-reply.js';
import { readResponsesRequest } from './responses-request.js';

/** `POST /v1/responses`, as JSON or as server-sent events. Responses are not stored. */
export function responsesRoutes(app: FastifyInstance, deps: GatewayDeps, models: Models): void {
  takeJson(app);
  const options = { bodyLimit: deps.limits.maxJsonBytes, config: { doc: RESPOND } };
  app.post('/v1/responses', options, async (request, reply) => {
    const caller = callerOf(request);
    const idempotencyKey = idempotencyKeyOf(request.headers);
    const persistence = persistenceOf(request.headers);
    const { model: name, stream, conversation, echo } = readResponsesRequest(request.body as Json);
    const model = models.get('chat', name, caller);
    const input = await inputOf(model, conversation, deps, caller.tenant);
    const outputs = onlyOutputs(model, answerFields(model));
    const order = { pipeline: model.pipeline, caller, input, idempotencyKey, ...persistence, options: outputs };
    const exchange = { deps, request, reply };
    if (!stream) {
      const document = await runToEnd(exchange, order);
      const { id: run, createdAt } = document;
      return responseOf({ run, createdAt, model, echo }, answerOf(document, model));
    }
    const streamed = await runStreamed(exchange, order, model);
    const writer = new ResponseWriter({ run: streamed.run.id, createdAt: streamed.run.memo.createdAt, model, echo });
    const failed = (error: Parameters<typeof errorBody>[0]) => asEvent(writer.failed(errorBody(error, request)));
    await sendAsEvents(reply, eventsOf(writer, streamed, model), failed);
    return reply;
  });
}

const asEvent = (event: ResponsesEvent): ServerEvent => ({ event: event.type, data: JSON.stringify(event) });

async function* eventsOf(writer: ResponseWriter, { pieces }: StreamedRun, model: Model): AsyncGenerator<ServerEvent> {
  let begun = false;
  for await (const piece of pieces) {
    // Deferred until the first piece: a run that fails at once gets an error status.
    if (!begun) for (const event of writer.begin()) yield asEvent(event);
    begun = true;
    const events = 'text' in piece ? writer.text(piece.text) : writer.end(answerOf(piece.document, model));
    for (const event of events) yield asEvent(event);
  }
}

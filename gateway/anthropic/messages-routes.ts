import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { MillraceError } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import type { GatewayDeps } from '../deps.js';
import type { ServerEvent } from '../http/event-stream.js';
import { takeJson } from '../http/json-body.js';
import { leaving } from '../http/leaving.js';
import { forgetBody, senderOf } from '../input/held-bodies.js';
import { answerFields, answerOf } from '../openai/chat-reply.js';
import { inputOf } from '../openai/conversation.js';
import { opensAs, sendAsEvents } from '../openai/event-answer.js';
import { readHeaders, runStreamed, runToEnd, type StreamedRun } from '../openai/model-run.js';
import { type Model, Models } from '../openai/models.js';
import { CREATE_MESSAGE } from './docs.js';
import { errorBody } from './error-body.js';
import { EventWriter, messageOf } from './messages-reply.js';
import { readMessagesRequest } from './messages-request.js';

/** `POST /v1/messages` of Anthropic's API: each pipeline that is a model of OpenAI's chat is one here. */
export async function anthropicRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  const models = new Models(deps.pipelines);
  takeJson(app);
  const options = { bodyLimit: deps.limits.maxJsonBytes, config: { doc: CREATE_MESSAGE } };
  app.post('/v1/messages', options, async (request, reply) => {
    const wanted = await request.held.during(() => ordered(deps, models, request, reply));
    const { order, model, stream } = wanted;
    const exchange = { deps, request, reply };
    void reply.header('request-id', request.id);
    if (!stream) {
      const document = await runToEnd(exchange, order);
      return messageOf({ run: document.id, model: model.pipeline.name }, answerOf(document, model));
    }
    const events = eventsOf(await runStreamed(exchange, order, model), model);
    const failed = (error: MillraceError) => [{ event: 'error', data: JSON.stringify(errorBody(error, request)) }];
    await sendAsEvents(reply, events, failed, opensAs(order));
    return reply;
  });
}

/** What a request wants; nothing else of its body is left. */
async function ordered(deps: GatewayDeps, models: Models, request: FastifyRequest, reply: FastifyReply) {
  const { caller, orderOf } = readHeaders(request);
  const { model: name, stream, conversation } = readMessagesRequest(request.body as Json);
  const model = models.get('chat', name, caller);
  const input = await inputOf(model, conversation, deps, senderOf(request, leaving(reply)));
  forgetBody(request);
  return { order: orderOf(model, input, answerFields(model)), model, stream };
}

async function* eventsOf({ run, pieces }: StreamedRun, model: Model): AsyncGenerator<ServerEvent> {
  const writer = new EventWriter({ run: run.id, model: model.pipeline.name });
  let begun = false;
  for await (const piece of pieces) {
    // Not before there is something to send: an error until then has a status of its own.
    if (!begun) yield* writer.start();
    begun = true;
    yield* 'document' in piece ? writer.end(answerOf(piece.document, model)) : writer.told(piece);
  }
}

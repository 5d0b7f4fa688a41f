import type { FastifyInstance } from 'fastify';
import { callerOf } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { chatRoutes } from './chat-routes.js';
import { Conversations } from './conversations.js';
import { conversationsRoutes } from './conversations-routes.js';
import { GET_MODEL, LIST_MODELS } from './docs.js';
import { embeddingsRoutes } from './embeddings-routes.js';
import { imagesRoutes } from './images-routes.js';
import { Models } from './models.js';
import { responsesRoutes } from './responses-routes.js';
import { ReasoningSeals } from './sealed-reasoning.js';
import { speechRoutes } from './speech-routes.js';
import { StoredResponses } from './stored-responses.js';
import { storedRoutes } from './stored-routes.js';
import { transcriptionRoutes } from './transcription-routes.js';

const ROUTES = [chatRoutes, embeddingsRoutes, transcriptionRoutes, speechRoutes, imagesRoutes] as const;
/** Those of the Responses API, which share what is kept. */
const RESPONSES = [responsesRoutes, storedRoutes, conversationsRoutes] as const;

/**
 * The door for OpenAI's clients (https://platform.openai.com/docs/api-reference): each pipeline is a model. For errors
 * see `openAiErrors`.
 */
export async function openAiRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  const models = new Models(deps.pipelines);

  app.get('/v1/models', { config: { doc: LIST_MODELS } }, async (request) => {
    return { object: 'list', data: models.list(callerOf(request)) };
  });

  app.get<{ Params: { id: string } }>('/v1/models/:id', { config: { doc: GET_MODEL } }, async (request) => {
    return models.describe(request.params.id, callerOf(request));
  });

  for (const routes of ROUTES) {
    // Separate scopes: the routes accept different content types.
    app.register((scope, _, done) => {
      routes(scope, deps, models);
      done();
    });
  }
  const seals = new ReasoningSeals(deps.clientSecret);
  const responses = new StoredResponses(deps, models, seals);
  const door = { deps, models, responses, seals, conversations: new Conversations(deps, responses) };
  for (const routes of RESPONSES) {
    app.register((scope, _, done) => {
      routes(scope, door);
      done();
    });
  }
}

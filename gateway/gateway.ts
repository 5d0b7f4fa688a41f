import { randomUUID } from 'node:crypto';
import { type FastifyBaseLogger, type FastifyInstance, fastify, LogController } from 'fastify';
import { AudioEncoder } from '../media/index.js';
import { MillraceError } from '../pipelines/errors.js';
import { RunEnds } from '../runs/ends.js';
import { TemporalRunList } from '../runs/list/index.js';
import { RunStarts } from '../runs/run-starts.js';
import { StreamSlots } from '../runs/stream-slots.js';
import { withoutSlash } from '../runtime/without-slash.js';
import { RationedWarnings } from '../telemetry/warnings.js';
import { a2aRoutes } from './a2a/a2a-routes.js';
import { a2aErrors } from './a2a/errors.js';
import { authenticateRequests } from './access/authenticate-requests.js';
import { Authenticator } from './access/authenticator.js';
import { aguiRoutes } from './agui/agui-routes.js';
import { anthropicErrors } from './anthropic/error-body.js';
import { anthropicRoutes } from './anthropic/messages-routes.js';
import type { GatewayDeps, GatewayParts } from './deps.js';
import { firstPart, mountDoors } from './doors/index.js';
import { explorerRoutes } from './explorer/index.js';
import { answerBrokenRequest } from './http/broken-request.js';
import { endConnectionsOnClose } from './http/closing.js';
import { boundedServers, boundHeaders } from './http/connections.js';
import { shareWithOrigins } from './http/cors.js';
import { type ErrorShape, sendError } from './http/error-shape.js';
import { asMillraceError } from './http/problem.js';
import { observeRequests } from './http/request-log.js';
import { holdResponses, ResponseMemory } from './http/response-memory.js';
import { BodyBudget } from './input/body-budget.js';
import { holdBodies } from './input/held-bodies.js';
import { kserveDoor } from './kserve/index.js';
import { mcpErrors } from './mcp/error-body.js';
import { mcpRoutes } from './mcp/mcp-routes.js';
import { openAiErrors } from './openai/error-body.js';
import { openAiRoutes } from './openai/openai-routes.js';
import { collectRoutes, openApiRoutes } from './openapi/index.js';
import { Readiness } from './readiness.js';
import { artifactRoutes } from './rest/artifact-routes.js';
import { cacheRoutes } from './rest/cache-routes.js';
import { callbackRoutes } from './rest/callback-routes.js';
import { controlRoutes } from './rest/control-routes.js';
import { eventRoutes } from './rest/event-routes.js';
import { memoryRoutes } from './rest/memory-routes.js';
import { operationsRoutes } from './rest/operations-routes.js';
import { pipelineRoutes } from './rest/pipeline-routes.js';
import { replayRoutes } from './rest/replay-routes.js';
import { resourceMetadataRoutes } from './rest/resource-metadata-routes.js';
import { runListRoutes } from './rest/run-list-routes.js';
import { runRoutes } from './rest/run-routes.js';

/** The longest run id (pipeline name, dash, UUID) is 100 characters, which is also the router's default limit. */
const MOST_PARAMETER_CHARACTERS = 256;
/** Paths whose errors are not problem bodies. */
const ERROR_SHAPES: readonly ErrorShape[] = [openAiErrors, anthropicErrors, mcpErrors, a2aErrors];
/** The routes of all doors. */
const ROUTES = [
  runRoutes,
  runListRoutes,
  eventRoutes,
  controlRoutes,
  cacheRoutes,
  replayRoutes,
  artifactRoutes,
  pipelineRoutes,
  memoryRoutes,
  operationsRoutes,
  callbackRoutes,
  resourceMetadataRoutes,
  openAiRoutes,
  anthropicRoutes,
  aguiRoutes,
  a2aRoutes,
  mcpRoutes,
  explorerRoutes,
] as const;

/**
 * The HTTP server: starts runs, shows them, serves their media. Every error is a problem body (RFC 9457) with a code of
 * the error table.
 */
export async function createGateway(parts: GatewayParts): Promise<FastifyInstance> {
  const deps: GatewayDeps = {
    ...parts,
    ready: new Readiness(parts.readiness),
    list: parts.list ?? new TemporalRunList(parts),
    encoder: new AudioEncoder(parts.artifacts, parts.ffmpeg),
    ends: new RunEnds(parts),
    streams: new StreamSlots(parts),
    starts: new RunStarts(parts.registry),
  };
  const { limits } = deps;
  const warnings = new RationedWarnings(deps.logger);
  const app = fastify({
    loggerInstance: deps.logger as FastifyBaseLogger,
    // Replaced by the single line per request that `observeRequests` writes.
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: () => randomUUID(),
    serverFactory: boundedServers(limits, warnings),
    routerOptions: { maxParamLength: MOST_PARAMETER_CHARACTERS },
    exposeHeadRoutes: false,
    frameworkErrors: (error, request, reply) => {
      request.notes ??= {}; // no hook has run
      sendError(ERROR_SHAPES, asMillraceError(error), request, reply);
    },
    clientErrorHandler: (error, socket) => answerBrokenRequest(error, socket, warnings),
  });
  endConnectionsOnClose(app);
  observeRequests(app, deps.registry);
  boundHeaders(app, warnings);
  app.setErrorHandler((error, request, reply) => sendError(ERROR_SHAPES, asMillraceError(error), request, reply));
  const { corsOrigins = [] } = deps;
  shareWithOrigins(app, corsOrigins);
  const authenticator = deps.authenticator ?? new Authenticator({ by: 'loopback', origins: corsOrigins }, deps.logger);
  authenticateRequests(app, authenticator, deps.publicUrl);
  const bodies = new BodyBudget(limits, deps.registry);
  holdBodies(app, bodies);
  const responses = new ResponseMemory(limits, deps.registry);
  holdResponses(app, responses);
  const routes = refuseUnknownRoutes(app);
  const documented = collectRoutes(app);
  for (const routes of ROUTES) {
    await app.register(async (scope) => routes(scope, deps));
  }
  await app.register(async (scope) => kserveDoor(scope, deps, { authenticator, bodies, responses }));
  await app.register(async (scope) => openApiRoutes(scope, deps, documented));
  await mountDoors(app, deps, { doors: parts.doors ?? [], used: new Set([...routes.keys()].map(firstPart)) });
  return app;
}

/**
 * Rejects unknown routes before a body is read: 405 with `Allow` if the path has routes of other methods, otherwise
 * 404.
 * @returns the methods of each route, also of those that are added later
 */
function refuseUnknownRoutes(app: FastifyInstance): ReadonlyMap<string, ReadonlySet<string>> {
  const methods = new Map<string, Set<string>>();
  let mostParts = 0;
  app.addHook('onRoute', ({ url, method }) => {
    mostParts = Math.max(mostParts, url.split('/').length);
    const known = methods.get(url) ?? new Set();
    for (const each of [method].flat()) known.add(each);
    methods.set(url, known);
  });
  app.addHook('onRequest', async (request, reply) => {
    if (!request.is404) return;
    const path = request.url.split('?', 1)[0] as string;
    const routeAt = (each: string) => {
      const given = each.split('/', mostParts + 1);
      return [...methods].find(([pattern]) => matches(pattern, given))?.[1];
    };
    const allowed = routeAt(path);
    if (allowed === undefined) {
      const meant = likePath(path).find((each) => routeAt(each) !== undefined);
      const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
      throw new MillraceError('ROUTE_NOT_FOUND', `no route matches ${path}${hint}`);
    }
    const allow = [...allowed].join(', ');
    reply.header('allow', allow);
    const message = `${path} allows ${allow}, not ${request.method}`;
    throw new MillraceError('METHOD_NOT_ALLOWED', message, { fields: [{ field: 'method', message }] });
  });
  return methods;
}

/** Longer paths, in UTF-16 units, are not compared with others. */
const LONGEST_HINTED = 256;

/** The paths that a client with a wrong base URL may mean: it lacks `/v1` or has it twice, or a slash is at the end. */
function likePath(path: string): readonly string[] {
  if (path.length > LONGEST_HINTED) return [];
  const bare = withoutSlash(path);
  return [bare, `/v1${bare}`, bare.replace(/^\/v1(?=\/v\d)/, '')].filter((each) => each !== path);
}

/** Whether the segments of a path match a route's pattern; parameters are whole segments. */
function matches(pattern: string, given: readonly string[]): boolean {
  const wanted = pattern.split('/');
  return (
    wanted.length === given.length &&
    wanted.every((part, i) => (part.startsWith(':') ? given[i] !== '' : part === given[i]))
  );
}

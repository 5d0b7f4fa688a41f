import type { FastifyInstance } from 'fastify';
import type { Pipeline } from '../../pipelines/definition/index.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { TENANT } from '../../pipelines/tenant.js';
import { problemAnswers } from './problems.js';
import type { AnswerDoc, ContentDoc, ParameterDoc, RouteDoc } from './route-doc.js';
import { COMPONENTS, schemaOf } from './schemas.js';
import { shareAllDefinitions, shareDefinitions } from './shared-definitions.js';

/** A route of the gateway with its documentation. */
export interface DocumentedRoute {
  readonly method: string;
  /** In the router's syntax: `/v1/runs/:id`. */
  readonly url: string;
  readonly open: boolean;
  readonly doc?: RouteDoc;
}

/** Collects the documented routes that are added to an app and its scopes from now on. */
export function collectRoutes(app: FastifyInstance): readonly DocumentedRoute[] {
  const routes: DocumentedRoute[] = [];
  app.addHook('onRoute', ({ method, url, config }) => {
    const { open = false, doc } = config ?? {};
    if (doc === 'none') return;
    for (const each of [method].flat()) routes.push({ method: each, url, open, ...(doc && { doc }) });
  });
  return routes;
}

const TENANT_PARAMETER: ParameterDoc = {
  description: 'The tenant of the request if keys are not in use; with a key or token it must be that one’s tenant',
  schema: { type: 'string', pattern: TENANT.source },
};

/**
 * The OpenAPI 3.1 document of routes, including those of each pipeline.
 * @param release of Millrace; the interface itself has a version in its paths
 * @param path base path of the routes on the server
 */
export function openApiDocument(
  routes: readonly DocumentedRoute[],
  pipelines: readonly Pipeline[],
  release: string,
  path = '/',
): JsonObject {
  const paths: Record<string, Record<string, Json>> = {};
  const add = (route: DocumentedRoute, url: string, doc: RouteDoc) => {
    const at = url.replace(/:(\w+)/g, '{$1}');
    paths[at] ??= {};
    (paths[at] as Record<string, Json>)[route.method.toLowerCase()] = operation(route, doc, pipelines);
  };
  for (const route of routes) {
    const { doc } = route;
    if (!doc) continue;
    add(route, route.url, doc);
    for (const pipeline of doc.ofPipeline ? pipelines : []) {
      const own = doc.ofPipeline?.(pipeline);
      if (own) add(route, own.url, own.doc);
    }
  }
  const schemas: Record<string, Json> = {};
  for (const [name, schema] of Object.entries(COMPONENTS)) schemas[name] = shareDefinitions(schemaOf(schema), schemas);
  const sorted = Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (a < b ? -1 : 1)));
  return {
    openapi: '3.1.1',
    info: {
      title: 'Millrace',
      version: release,
      description: 'Runs inference pipelines durably: starts runs, shows them, serves their media.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: path }],
    security: [{ key: [] }, {}],
    tags: [...new Set(routes.flatMap(({ doc }) => (doc ? [doc.tag] : [])))].map((name) => ({ name })),
    paths: shareAllDefinitions(sorted, schemas),
    components: {
      schemas,
      securitySchemes: {
        key: {
          type: 'http',
          scheme: 'bearer',
          description: 'An API key, or a token of the identity provider; not needed if the gateway uses neither',
        },
      },
    },
  };
}

function operation(
  { method, open, doc: template }: DocumentedRoute,
  doc: RouteDoc,
  pipelines: readonly Pipeline[],
): Json {
  const suffix = method === 'HEAD' ? 'Head' : '';
  const { summary, description, tag, body, query, headers } = doc;
  const path = withExamples(doc.path, doc.pathFor?.(pipelines));
  return {
    operationId: `${doc.operation}${suffix}`,
    tags: [tag],
    summary,
    ...(description !== undefined && { description }),
    ...(open && { security: [] }),
    parameters: [
      ...parameters('path', path, true),
      ...parameters('query', query),
      ...parameters('header', { ...headers, ...(!open && { 'Millrace-Tenant': TENANT_PARAMETER }) }),
    ],
    ...(body && {
      requestBody: {
        required: body.required,
        content: contentOf(withExample(body.content, doc.exampleFor?.(pipelines))),
      },
    }),
    responses: Object.fromEntries(
      Object.entries({ ...problemAnswers({ ...template, ...doc }, open), ...doc.answers }).map(([status, answer]) => [
        status,
        answerOf(method === 'HEAD' ? withoutBody(answer) : answer),
      ]),
    ),
  };
}

const parameters = (where: string, all: Readonly<Record<string, ParameterDoc>> = {}, required = false): Json[] =>
  Object.entries(all).map(([name, doc]) => ({
    name,
    in: where,
    description: doc.description,
    ...((doc.required ?? required) && { required: true }),
    schema: doc.schema ?? { type: 'string' },
    ...(doc.example !== undefined && { example: doc.example }),
  }));

function answerOf({ description, content, headers = {} }: AnswerDoc): Json {
  const all = { 'X-Request-Id': 'Id of the request in the gateway’s log', ...headers };
  return {
    description,
    headers: Object.fromEntries(
      Object.entries(all).map(([name, about]) => [name, { description: about, schema: { type: 'string' } }]),
    ),
    ...(content && { content: contentOf(content) }),
  };
}

/** Parameters with an example of those that have a value. */
const withExamples = (
  parameters: RouteDoc['path'] = {},
  values: Readonly<Record<string, string>> = {},
): Readonly<Record<string, ParameterDoc>> =>
  Object.fromEntries(
    Object.entries(parameters).map(([name, doc]) => {
      const example = values[name];
      return [name, example === undefined ? doc : { ...doc, example }];
    }),
  );

/** The content with an example of its JSON form. */
function withExample(content: ContentDoc, example: JsonObject | undefined): ContentDoc {
  const { 'application/json': own } = content;
  return own === undefined || example === undefined ? content : { ...content, 'application/json': { ...own, example } };
}

const contentOf = (content: ContentDoc): Json => content as unknown as Json;

const withoutBody = ({ content: _, ...rest }: AnswerDoc): AnswerDoc => rest;

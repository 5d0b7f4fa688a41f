import type { Pipeline } from '../../pipelines/definition/index.js';
import type { ErrorCode } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';

/** A JSON Schema (2020-12), the dialect of OpenAPI 3.1. */
export type Schema = JsonObject;

/** A parameter of the query, the path or the headers. */
export interface ParameterDoc {
  readonly description: string;
  /** Absent: a string. */
  readonly schema?: Schema;
  readonly required?: boolean;
  readonly example?: string;
}

/** Alternatives of a body, by media type. */
export type ContentDoc = Readonly<Record<string, { readonly schema: Schema; readonly example?: JsonObject }>>;

export interface AnswerDoc {
  readonly description: string;
  readonly content?: ContentDoc;
  /** Descriptions of the headers beyond those of every response, by name. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Documentation of a route in the OpenAPI document, passed as `config: { doc }`. What all routes share (keys, tenants,
 * their errors) is added.
 */
export interface RouteDoc {
  /** Group in the document, such as `runs`. */
  readonly tag: string;
  /** Unique in the document, in camelCase: the method name in generated clients. */
  readonly operation: string;
  /** One line. */
  readonly summary: string;
  readonly description?: string;
  readonly path?: Readonly<Record<string, ParameterDoc>>;
  readonly query?: Readonly<Record<string, ParameterDoc>>;
  readonly headers?: Readonly<Record<string, ParameterDoc>>;
  readonly body?: { readonly required: boolean; readonly content: ContentDoc };
  /** Successful responses, by status. */
  readonly answers: Readonly<Record<number, AnswerDoc>>;
  /** Error codes beyond those of every route. */
  readonly problems?: readonly ErrorCode[];
  /** The body of errors, if the protocol does not use problems (RFC 9457). */
  readonly problemContent?: ContentDoc;
  /** The status of an error, if the protocol differs from the error table. */
  readonly problemStatus?: (code: ErrorCode) => number;
  /** A JSON body that can be sent as it is, which depends on the pipelines; absent if none of them suits. */
  readonly exampleFor?: (pipelines: readonly Pipeline[]) => JsonObject | undefined;
  /** Values of the path's parameters with which `exampleFor` can be sent, by name. */
  readonly pathFor?: (pipelines: readonly Pipeline[]) => Readonly<Record<string, string>> | undefined;
  /** The same route for one pipeline, at its own path with its own schemas. */
  readonly ofPipeline?: (pipeline: Pipeline) => { readonly url: string; readonly doc: RouteDoc };
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * Documentation for the OpenAPI document; `none` for routes outside the interface, such as one that rejects
     * unsupported paths. Required: a test fails for a route without it.
     */
    doc?: RouteDoc | 'none';
  }
}

/**
 * A response of server-sent events. The schema is that of one event, as in `itemSchema` of OpenAPI 3.2 and as earlier
 * tools interpret `text/event-stream`.
 */
export const eventStream = (description: string): ContentDoc => ({
  'text/event-stream': {
    schema: {
      type: 'object',
      description: `Server-sent events. ${description}`,
      properties: { id: { type: 'string' }, event: { type: 'string' }, data: { type: 'string' } },
    },
  },
});

import type { Pipeline } from '../../pipelines/definition/index.js';
import type { ErrorCode } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';

/** A JSON Schema (2020-12), which is what OpenAPI 3.1 takes. */
export type Schema = JsonObject;

/** A parameter of the query, the path or the headers. */
export interface ParameterDoc {
  readonly description: string;
  /** Absent: any text. */
  readonly schema?: Schema;
  readonly required?: boolean;
  readonly example?: string;
}

/** What a body may be, by media type. */
export type ContentDoc = Readonly<
  Record<string, { readonly schema: Schema; readonly encoding?: Schema; readonly example?: JsonObject }>
>;

export interface AnswerDoc {
  readonly description: string;
  readonly content?: ContentDoc;
  /** Meaning of the headers beside those of every answer, by name. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * What a route is, for the OpenAPI document: it stands beside the route, as `config: { doc }`. What every route has in
 * common (keys, tenants, their errors) is added to it.
 */
export interface RouteDoc {
  /** Group in the document, such as `runs`. */
  readonly tag: string;
  /** Unique in the document, in camelCase: the name of the call in generated clients. */
  readonly operation: string;
  /** One line. */
  readonly summary: string;
  readonly description?: string;
  readonly path?: Readonly<Record<string, ParameterDoc>>;
  readonly query?: Readonly<Record<string, ParameterDoc>>;
  readonly headers?: Readonly<Record<string, ParameterDoc>>;
  readonly body?: { readonly required: boolean; readonly content: ContentDoc };
  /** What it answers when it succeeds, by status. */
  readonly answers: Readonly<Record<number, AnswerDoc>>;
  /** The codes that it may fail with, beside those of every route. */
  readonly problems?: readonly ErrorCode[];
  /** The body of an error, where the door's protocol has one of its own in place of a problem (RFC 9457). */
  readonly problemContent?: ContentDoc;
  /** The status of an error, where the door's protocol has another than the error table. */
  readonly problemStatus?: (code: ErrorCode) => number;
  /** The same route for one pipeline, with its own schemas, at a path of its own. */
  readonly ofPipeline?: (pipeline: Pipeline) => { readonly url: string; readonly doc: RouteDoc };
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * What the route is, for the OpenAPI document; `none` for one that is no part of the interface, such as one that refuses
     * what is not there. A route without is a mistake that a test finds.
     */
    doc?: RouteDoc | 'none';
  }
}

/**
 * An answer of server-sent events; the schema is that of one event, as OpenAPI has it from 3.2 on (`itemSchema`) and its tools
 * read `text/event-stream` before.
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

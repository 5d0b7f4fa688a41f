import type { JsonObject } from '../../pipelines/json.js';

/** A request made of the examples of an operation. */
export interface ExampleRequest {
  readonly method: string;
  /** With the query of the parameters' examples. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: JsonObject;
}

interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly example?: string }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly example?: JsonObject }>> };
}

export type OpenApiPaths = Readonly<Record<string, Readonly<Record<string, Operation>>>>;

/** Whether a response says that its request has a wrong form, and not that it comes at a wrong time. */
export const isRefused = (status: number): boolean => status >= 400 && status < 500 && status !== 409;

const inPath = (path: string, values: Readonly<Record<string, string>>): string =>
  path.replace(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);

/**
 * The requests of all operations with an example of a body, and what a client of the document adds by itself.
 * @param run id of a run, for the routes of one
 */
export function exampleRequests(paths: OpenApiPaths, run = 'none'): readonly ExampleRequest[] {
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).flatMap(([method, { parameters = [], requestBody }]) => {
      const body = requestBody?.content['application/json']?.example;
      if (body === undefined) return [];
      const given = (where: string) =>
        parameters.flatMap(({ name, in: place, example }) =>
          place === where && example !== undefined ? [[name, example] as const] : [],
        );
      const query = new URLSearchParams(Object.fromEntries(given('query'))).toString();
      const headers = {
        'content-type': 'application/json',
        // MCP's clients accept both, as its description requires.
        accept: path === '/mcp' ? 'application/json, text/event-stream' : 'application/json',
        ...Object.fromEntries(given('header')),
      };
      return [
        {
          method: method.toUpperCase(),
          path: `${inPath(path.replace('{id}', run), Object.fromEntries(given('path')))}${query === '' ? '' : `?${query}`}`,
          headers,
          body,
        },
      ];
    }),
  );
}

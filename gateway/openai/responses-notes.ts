import { isJsonObject, type JsonObject } from '../../pipelines/json.js';
import type { ResponsesRequest } from './responses-request.js';

/** Version of the notes that a response's run keeps. */
const VERSION = 1;

/** What a response repeats of its request, and what it needs to be read later; kept with its run. */
export type Echo = ResponsesRequest['echo'];

export const notesOfRequest = (echo: Echo): JsonObject => ({
  response: VERSION,
  echo: JSON.parse(JSON.stringify(echo)) as JsonObject,
});

/** Undefined for a run that is no response, or one that must not be kept. */
export function echoIn(notes: JsonObject | undefined): Echo | undefined {
  if (notes?.response !== VERSION || !isJsonObject(notes.echo)) return undefined;
  const echo = notes.echo as unknown as Echo;
  return echo.store === false ? undefined : echo;
}

import type { Json } from '../../pipelines/json.js';
import type { PushConfig, StreamResponse, Task } from './protocol.js';

/** A result of a method, in the objects of 1.0. */
export type Result =
  | Task
  | { readonly task: Task }
  | PushConfig
  | { readonly configs: readonly PushConfig[] }
  /** Of a method that answers with nothing. */
  | { readonly nothing: true };

/** How a version of the protocol writes what the other files say in 1.0. */
export interface Wire {
  readonly version: string;
  /** Names of all methods of the version. */
  readonly methods: readonly string[];
  /** The name in 1.0 of a method of this version; undefined if the version has no such method. */
  methodOf(name: string): string | undefined;
  /** Parameters as 1.0 writes them. What has another form stays as it is, and is refused where it is read. */
  paramsOf(method: string, params: Json): Json;
  resultOf(result: Result): object | null;
  /** @param turnEnds whether the stream ends where its task waits for its client */
  eventOf(event: StreamResponse, turnEnds: boolean): object;
  /** The type of an event that is sent to a webhook. */
  readonly notificationType: string;
}

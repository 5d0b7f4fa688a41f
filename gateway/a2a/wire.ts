import type { Json } from '../../pipelines/json.js';
import type { StreamResponse, Task } from './protocol.js';

/** A result of a method, in the objects of 1.0. */
export type Result = Task | { readonly task: Task };

/** How a version of the protocol writes what the other files say in 1.0. */
export interface Wire {
  readonly version: string;
  /** Names of all methods of the version. */
  readonly methods: readonly string[];
  /** The name in 1.0 of a method of this version; undefined if the version has no such method. */
  methodOf(name: string): string | undefined;
  /** Parameters as 1.0 writes them. What has another form stays as it is, and is refused where it is read. */
  paramsOf(method: string, params: Json): Json;
  resultOf(method: string, result: Result): object;
  /** @param turnEnds whether the stream ends where its task waits for its client */
  eventOf(event: StreamResponse, turnEnds: boolean): object;
}

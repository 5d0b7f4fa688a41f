import type { Caller } from '../access/caller.js';
import type { Persistence } from '../access/retries.js';
import type { Asked } from './ask.js';
import type { PipelineTool } from './tool.js';

/** A call of a tool. */
export interface ToolCall {
  readonly tool: PipelineTool;
  readonly caller: Caller;
  /** What the request's headers say about retries and about leaving. */
  readonly persistence: Persistence;
  /** Base URL of the gateway for the caller. */
  readonly base: string;
}

/** A call that cannot go on before its client’s user has answered. */
export interface NeedsInput {
  readonly run: string;
  /** Position in the run's events. */
  readonly after: string;
  readonly waits: readonly Asked[];
}

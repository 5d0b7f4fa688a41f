import type { HeldResponse } from '../http/response-memory.js';
import type { WaitedCall } from '../waiting/follow-call.js';
import type { PipelineTool } from './tool.js';

/** A call of a tool. */
export interface ToolCall extends WaitedCall {
  readonly tool: PipelineTool;
  /** Base URL of the gateway for the caller. */
  readonly base: string;
  /** Counts what the response holds. */
  readonly response?: HeldResponse | undefined;
}

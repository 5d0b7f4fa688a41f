import type { Json, JsonObject } from '../../pipelines/json.js';

/** Longest id of a request, in UTF-16 units: every event of a stream repeats it. */
export const LONGEST_ID = 256;

/** Objects of version 1.0 of the protocol in ProtoJSON, as far as this door sends them. */
export type TaskState =
  | 'TASK_STATE_SUBMITTED'
  | 'TASK_STATE_WORKING'
  | 'TASK_STATE_INPUT_REQUIRED'
  | 'TASK_STATE_COMPLETED'
  | 'TASK_STATE_FAILED'
  | 'TASK_STATE_CANCELED';

type Content =
  | { readonly text: string }
  /** Base64. */
  | { readonly raw: string }
  | { readonly url: string }
  | { readonly data: Json };

export type Part = Content & {
  readonly mediaType?: string;
  readonly filename?: string;
  readonly metadata?: JsonObject;
};

export interface Message {
  readonly messageId: string;
  readonly taskId: string;
  readonly contextId: string;
  readonly role: 'ROLE_AGENT';
  readonly parts: readonly Part[];
}

export interface TaskStatus {
  readonly state: TaskState;
  readonly message?: Message;
  /** ISO 8601, UTC. */
  readonly timestamp: string;
}

export interface Artifact {
  readonly artifactId: string;
  readonly name: string;
  readonly parts: readonly Part[];
}

export interface Task {
  readonly id: string;
  readonly contextId: string;
  readonly status: TaskStatus;
  readonly artifacts?: readonly Artifact[];
}

/** Where a task's updates are sent to. */
export interface PushConfig {
  readonly taskId: string;
  readonly id: string;
  readonly url: string;
  readonly token?: string;
  readonly authentication?: {
    readonly scheme: string;
    readonly credentials?: string;
  };
}

interface OfTask {
  readonly taskId: string;
  readonly contextId: string;
}

/** An event of a stream. */
export type StreamResponse =
  | { readonly task: Task }
  | { readonly statusUpdate: OfTask & { readonly status: TaskStatus } }
  | {
      readonly artifactUpdate: OfTask & {
        readonly artifact: Artifact;
        /** Whether the parts continue those that were sent before; otherwise they replace them. */
        readonly append: boolean;
        readonly lastChunk: boolean;
      };
    };

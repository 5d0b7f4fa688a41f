import type { Artifact } from '../../../pipelines/artifact.js';
import type { AgentMessage } from '../../../pipelines/plan/index.js';

/** A message as the agent keeps it; the model is sent the `AgentMessage` part. */
export interface KeptMessage extends AgentMessage {
  /** Of a tool's result: the name under which the model can read the whole. */
  readonly whole?: string;
  /** Of a tool's result: only its beginning is left. */
  readonly shortened?: true;
}

/** Messages as they are sent and stored. */
export const sent = (messages: readonly KeptMessage[]): AgentMessage[] =>
  messages.map(({ whole: _, shortened: __, ...message }) => message);

/** Long results that are kept apart, by the name that the model uses for them. */
export type Wholes = Readonly<Record<string, Artifact>>;

/** A request as the server counted it. */
export interface Measured {
  readonly tokens: number;
  /** Length of its JSON. */
  readonly characters: number;
}

/** What is remembered of the user whom an agent talks with, as it was when the agent began. */
export interface Memory {
  readonly user: string;
  /** Oldest first. */
  readonly facts: readonly { readonly id: number; readonly text: string }[];
}

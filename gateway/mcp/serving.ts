import type { ServerContext } from '@modelcontextprotocol/server';
import { CLIENT_CAPABILITIES_META_KEY } from '@modelcontextprotocol/server';
import type { FastifyRequest } from 'fastify';
import { type Caller, holds } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import type { HeldResponse } from '../http/response-memory.js';
import type { Calls } from './calls.js';
import type { GivenArguments } from './given-arguments.js';
import type { Told } from './numbered-messages.js';
import { asksForms, type Capabilities, elicits } from './session.js';
import { TASKS } from './task.js';
import type { PipelineTool } from './tool.js';

/** Versions with a handshake, and version 2026-07-28, whose requests say each what their client can do. */
export type Era = 'legacy' | 'modern';

/** A request of the protocol that is being served. */
export interface Serving {
  readonly deps: GatewayDeps;
  readonly tools: ReadonlyMap<string, PipelineTool>;
  readonly calls: Calls;
  readonly request: FastifyRequest;
  /** The arguments of its calls, until they have been read. */
  readonly given: Pick<GivenArguments, 'read'>;
  readonly caller: Caller;
  /** Base URL of the gateway for the caller. */
  readonly base: string;
  readonly session: string | undefined;
  /** Counts what the response holds. */
  readonly response?: HeldResponse | undefined;
  /** Resolves when the client has read what was written to it, or has left. */
  readonly read?: (() => Promise<void>) | undefined;
  /** Aborts at shutdown: runs continue. */
  readonly closing: AbortSignal;
  /** Notes the place in a run's events that the client has been told of: it can continue there. */
  readonly reached?: ((place: Reached) => void) | undefined;
}

/** A place in the progress messages of a call. */
export interface Reached extends Told {
  readonly run: string;
}

/** The same for one message: each of a batch is a response of its own to the memory for responses, which would refuse no part of a single one. */
export const ofMessage = (serving: Serving): Serving => ({ ...serving, response: serving.response?.part() });

/** What the client of a request can do. */
const capabilitiesOf = ({ mcpReq: { envelope } }: ServerContext): Capabilities =>
  ((envelope as Record<string, unknown> | undefined)?.[CLIENT_CAPABILITIES_META_KEY] as Capabilities | undefined) ?? {};

/** Whether the client can ask its user, and the caller may decide what is asked. */
export const canAsk = ({ session }: Serving, era: Era, context: ServerContext): boolean =>
  era === 'modern' ? asksForms(capabilitiesOf(context)) : elicits(session);

export const mayDecide = ({ caller }: Serving): boolean => holds(caller, 'approve');

/** Whether the client of a request of version 2026-07-28 takes tasks. */
export const takesTasks = (context: ServerContext): boolean =>
  capabilitiesOf(context).extensions?.[TASKS] !== undefined;

import { randomUUID } from 'node:crypto';
import { isInitializeRequest } from '@modelcontextprotocol/server';
import type { FastifyRequest } from 'fastify';
import { MillraceError } from '../../pipelines/errors.js';

export const SESSION_HEADER = 'mcp-session-id';
/** Visible ASCII, as the protocol requires. */
const SESSION = /^[\x21-\x7e]{1,128}$/;
/** End of the id of a session whose client can ask its user: the gateway keeps no sessions, so the id says it. */
const ELICITS = '.elicits';

/** The session of a request. Throws `INVALID_HEADER`. */
export function sessionOf({ headers }: Pick<FastifyRequest, 'headers'>): string | undefined {
  const session = headers[SESSION_HEADER];
  if (session === undefined) return undefined;
  if (typeof session === 'string' && SESSION.test(session)) return session;
  const message = 'must be 1 to 128 visible ASCII characters';
  throw new MillraceError('INVALID_HEADER', `Mcp-Session-Id ${message}`, {
    fields: [{ field: 'Mcp-Session-Id', message }],
  });
}

/** Whether the client of the session can ask its user. */
export const elicits = (session: string | undefined): boolean => session?.endsWith(ELICITS) ?? false;

/** The id of the session that a body starts; undefined if it starts none. */
export function sessionStartedBy(body: unknown): string | undefined {
  const start = [body].flat().find((message) => isInitializeRequest(message));
  if (start === undefined) return undefined;
  const { capabilities } = (start as { params: { capabilities: Capabilities } }).params;
  return `${randomUUID()}${asksForms(capabilities) ? ELICITS : ''}`;
}

/** What a client can do, as far as this door uses it. */
export interface Capabilities {
  readonly elicitation?: { readonly form?: object; readonly url?: object } | undefined;
  readonly extensions?: Readonly<Record<string, unknown>> | undefined;
}

/** Whether a client can show forms: an empty `elicitation` says so, as before there were other modes. */
export const asksForms = ({ elicitation }: Capabilities): boolean =>
  elicitation !== undefined && (elicitation.form !== undefined || elicitation.url === undefined);

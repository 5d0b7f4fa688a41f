import type { FastifyRequest } from 'fastify';
import type { MillraceError } from '../../pipelines/errors.js';
import { baseUrlOf } from '../http/public-url.js';
import { InsufficientScopeError, InvalidTokenError, scopeOf } from './token-errors.js';
import type { Tokens } from './tokens/index.js';

/** Where the gateway says who issues its tokens (RFC 9728 §3). */
export const METADATA_PATH = '/.well-known/oauth-protected-resource';
/** A resource of its own: clients of MCP ask for tokens for its URL. */
export const MCP_PATH = '/mcp';

/** How a client gets a token for the resource that it has requested. */
export interface TokenHint {
  /** Address of the resource's metadata. Absent: the request's `Host` is no plain name. */
  readonly metadata?: string;
  readonly scopes: readonly string[];
  /** What stands before the names of scopes at the provider. */
  readonly scopePrefix: string;
}

/** Hosts as they are; nothing else may be quoted in a header. */
const PLAIN_HOST = /^[\w.-]+(:\d+)?$|^\[[\da-f:.]+\](:\d+)?$/i;

export function tokenHint(tokens: Tokens, request: FastifyRequest, publicUrl: string | undefined): TokenHint {
  const { scopes, scopePrefix } = tokens;
  if (publicUrl === undefined && !PLAIN_HOST.test(request.host)) return { scopes, scopePrefix };
  const path = request.url.split('?', 1)[0] === MCP_PATH ? MCP_PATH : '';
  return { metadata: `${baseUrlOf(publicUrl, request)}${METADATA_PATH}${path}`, scopes, scopePrefix };
}

/**
 * `WWW-Authenticate` of an error (RFC 6750 §3, RFC 9728 §5.1). Undefined for errors that other credentials would not avoid, or
 * not by a token.
 */
export function challengeOf(error: MillraceError, hint?: TokenHint): string | undefined {
  const lacks = error instanceof InsufficientScopeError;
  if (error.code !== 'UNAUTHENTICATED' && !lacks) return undefined;
  const { scopes: first = [], scopePrefix = '' } = hint ?? {};
  const scopes = lacks ? error.permissions.map((each) => scopePrefix + scopeOf(each)) : first;
  const fields = [
    ['realm', 'millrace'],
    ['error', lacks ? 'insufficient_scope' : error instanceof InvalidTokenError ? 'invalid_token' : ''],
    ['scope', scopes.join(' ')],
    ['resource_metadata', hint?.metadata ?? ''],
  ] as const;
  const given = fields.filter(([, value]) => value !== '').map(([name, value]) => `${name}="${value}"`);
  return `Bearer ${given.join(', ')}`;
}

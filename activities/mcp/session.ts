import { type Client, SdkHttpError, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { limited } from '../../runtime/limited.js';

const BAD_REQUEST = 400;
const NOT_FOUND = 404;

/** Longest wait for a server that is told of the end of a session, in milliseconds. */
const END_MS = 2_000;

/**
 * What a failed request says of the session of its connection. `forgotten` (404): the server does not know the session, and has not looked at the
 * request (section “Session Management” of “Transports”, MCP 2025-11-25). `doubtful` (400): some servers say so of a session that they do
 * not know, and others of a wrong request. Undefined: nothing, as of a connection without a session.
 */
export function sessionAfter(error: unknown, { transport }: Pick<Client, 'transport'>): SessionState | undefined {
  if (!(error instanceof SdkHttpError) || transport?.sessionId === undefined) return undefined;
  if (error.status === NOT_FOUND) return 'forgotten';
  return error.status === BAD_REQUEST ? 'doubtful' : undefined;
}
type SessionState = 'forgotten' | 'doubtful';

/** Tells a remote server that the session of a connection has ended, as far as it can be reached; it may keep what it holds of it otherwise. */
export async function endSession({ transport }: Pick<Client, 'transport'>): Promise<void> {
  if (!(transport instanceof StreamableHTTPClientTransport)) return;
  const never = new AbortController().signal;
  await limited(END_MS, never, () => transport.terminateSession()).catch(() => undefined);
}

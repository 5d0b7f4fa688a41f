import type { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { ErrorCode, type JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';

/** The message of a validation error of the SDK: a list of issues as JSON. */
const ISSUES = /^\[\s*\{/;
/** Most characters of it that are sent. */
const MOST = 2_000;

/**
 * Corrects the code of validation errors: the SDK reports a request that does not fit its method's schema as an
 * internal error, although it is the client's mistake.
 */
export function correctMisfits(transport: StreamableHTTPServerTransport): void {
  const send = transport.send.bind(transport);
  transport.send = (message, options) => send(corrected(message), options);
}

function corrected(message: JSONRPCMessage): JSONRPCMessage {
  if (!('error' in message) || message.error.code !== ErrorCode.InternalError || !ISSUES.test(message.error.message))
    return message;
  const text = `the request does not fit its method’s schema: ${message.error.message.slice(0, MOST)}`;
  return { ...message, error: { code: ErrorCode.InvalidParams, message: text } };
}

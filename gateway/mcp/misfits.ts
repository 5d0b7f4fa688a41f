import type { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { ErrorCode, type JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';

/** The message of what the SDK's parser throws: a list of issues as JSON. */
const ISSUES = /^\[\s*\{/;
/** Characters of them that are told. */
const MOST = 2_000;

/**
 * The SDK answers a request that does not fit the schema of its method as an internal error, for what its parser throws has no
 * code. It is the client's mistake, so it is told as one.
 */
export function tellMisfits(transport: StreamableHTTPServerTransport): void {
  const send = transport.send.bind(transport);
  transport.send = (message, options) => send(told(message), options);
}

function told(message: JSONRPCMessage): JSONRPCMessage {
  if (!('error' in message) || message.error.code !== ErrorCode.InternalError || !ISSUES.test(message.error.message))
    return message;
  const text = `the request does not fit its method’s schema: ${message.error.message.slice(0, MOST)}`;
  return { ...message, error: { code: ErrorCode.InvalidParams, message: text } };
}

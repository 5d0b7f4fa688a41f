import { type JSONRPCMessage, ProtocolErrorCode, type Transport } from '@modelcontextprotocol/server';

/** The message of a validation error of the SDK: a list of issues as JSON. */
const ISSUES = /^\[\s*\{/;
/** Most characters of it that are sent. */
const MOST = 2_000;

/**
 * Corrects the code of validation errors: the SDK reports a request that does not fit its method's schema as an
 * internal error, although it is the client's mistake.
 */
export function correctMisfits(transport: Transport): void {
  const send = transport.send.bind(transport);
  transport.send = (message, options) => send(corrected(message), options);
}

function corrected(message: JSONRPCMessage): JSONRPCMessage {
  if (
    !('error' in message) ||
    message.error.code !== ProtocolErrorCode.InternalError ||
    !ISSUES.test(message.error.message)
  )
    return message;
  const text = `the request does not fit its method’s schema: ${message.error.message.slice(0, MOST)}`;
  return { ...message, error: { code: ProtocolErrorCode.InvalidParams, message: text } };
}

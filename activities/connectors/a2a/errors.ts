import { type ErrorCode, MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../../pipelines/json.js';
import { codeOfStatus, errorMapper, shortened } from '../http-fault.js';

export const mapError = errorMapper(codeOfStatus);

const INTERNAL = -32603;

/** An error of JSON-RPC: the agent has refused what it was asked. */
export function rpcError({ code, message, data = null }: JsonObject): MillraceError {
  const rpc = typeof code === 'number' ? code : 0;
  return new MillraceError(codeOf(rpc, data), `the agent answers ${rpc}: ${shortened(String(message ?? ''))}`);
}

/** A refusal is repeated where the agent says that it may pass. */
function codeOf(rpc: number, data: Json): ErrorCode {
  if (rpc === INTERNAL) return 'BACKEND_ERROR';
  const details = (Array.isArray(data) ? data : [data]).filter(isJsonObject);
  const passes = details.some((each) => {
    const { metadata } = each;
    return String(each['@type']).endsWith('.RetryInfo') || (isJsonObject(metadata) && metadata.retry === 'true');
  });
  return passes ? 'BACKEND_OVERLOADED' : 'BACKEND_REJECTED';
}

import { ProtocolErrorCode } from '@modelcontextprotocol/server';
import { MCP_PATH } from '../access/challenge.js';
import type { ErrorShape } from '../http/error-shape.js';
import { problemOf } from '../http/problem.js';

/** Errors before the SDK's server gets the request, as JSON-RPC errors; `data` is the problem body. */
export const mcpErrors: ErrorShape = {
  speaks: (path) => path === MCP_PATH,
  answer(error, request) {
    const problem = problemOf(error, request);
    const { status, detail } = problem;
    const refused = error.code === 'INVALID_JSON' ? ProtocolErrorCode.ParseError : ProtocolErrorCode.InvalidRequest;
    const code = status >= 500 ? ProtocolErrorCode.InternalError : refused;
    return {
      status,
      type: 'application/json; charset=utf-8',
      body: { jsonrpc: '2.0', id: null, error: { code, message: `${error.code}: ${detail}`, data: problem } },
    };
  },
};

import { invalid, unknownOption } from '../definition/invalid.js';
import { resolvePolicy } from '../definition/policy.js';
import { type Duration, durationMs } from '../duration.js';
import type { ToolServerPlan } from '../plan/agent.js';
import { TOOL_DEFAULTS, type ToolPolicy } from './tool.js';

/** The tools of a server, as returned by `mcpTools`. */
export interface ToolServer {
  readonly server: ToolServerPlan;
}

const KEYS = ['server', 'only', 'prefix', 'retry', 'timeout', 'priority', 'approval', 'elicitation', 'onFailure'];

/**
 * The tools of an MCP server. The worker's file `MILLRACE_MCP_SERVERS` configures the connection under the server's
 * name. An agent lists the server's tools when it starts and uses that list until it ends. A call is attempted once
 * unless `retry` allows more, because its effects are unknown.
 *
 * ```ts
 * const files = mcpTools({ server: 'files', only: ['read_file', 'list_directory'] });
 * ```
 */
export function mcpTools(
  options: ToolPolicy & {
    /** Name of the server in the file of MCP servers. */
    readonly server: string;
    /** Names of the tools to offer. Default: all. */
    readonly only?: readonly string[];
    /** Prefix of the tools' names, to distinguish tools of several servers. */
    readonly prefix?: string;
    /**
     * Lets the server ask a person during a call (elicitation). Each question is a wait of the run, like an approval;
     * without an answer within `timeout` the server is told that the question was cancelled. Default: the server is
     * told that elicitation is not supported.
     */
    readonly elicitation?: { readonly timeout: Duration };
  },
): ToolServer {
  const { server, only, prefix, approval, elicitation, onFailure = 'tell', retry, timeout, priority } = options;
  const unknown = Object.keys(options).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) throw unknownOption(server, unknown, KEYS);
  if (typeof server !== 'string' || server === '') throw invalid('mcpTools.server', 'must name an MCP server');
  if (only?.length === 0) throw invalid(`${server}.only`, 'is empty; leave it out to offer all tools');
  if (prefix !== undefined && !/^[A-Za-z0-9_-]{1,32}$/.test(prefix)) {
    throw invalid(`${server}.prefix`, 'must be 1 to 32 letters, digits, _ and -');
  }
  if (onFailure !== 'tell' && onFailure !== 'fail') {
    throw invalid(`${server}.onFailure`, `must be "tell" or "fail", not "${String(onFailure)}"`);
  }
  if (elicitation !== undefined) checkElicitation(server, elicitation);
  const given = { ...(retry && { retry }), ...(timeout && { timeout }), ...(priority && { priority }) };
  return {
    server: {
      server,
      ...(only && { only }),
      ...(prefix !== undefined && { prefix }),
      policy: resolvePolicy(given, { ...TOOL_DEFAULTS, retry: { attempts: 1 } }, server),
      ...(approval && {
        approval: {
          timeoutMs: durationMs(approval.timeout, `${server}.approval.timeout`),
          otherwise: approval.otherwise ?? false,
        },
      }),
      ...(elicitation && {
        elicitation: { timeoutMs: durationMs(elicitation.timeout, `${server}.elicitation.timeout`) },
      }),
      onFailure,
    },
  };
}

function checkElicitation(server: string, given: unknown): void {
  const where = `${server}.elicitation`;
  if (typeof given !== 'object' || given === null) throw invalid(where, "must be an object: { timeout: '1h' }");
  const unknown = Object.keys(given).find((key) => key !== 'timeout');
  if (unknown !== undefined) throw unknownOption(where, unknown, ['timeout']);
}

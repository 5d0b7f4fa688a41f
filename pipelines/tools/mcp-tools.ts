import { invalid } from '../definition/invalid.js';
import { resolvePolicy } from '../definition/policy.js';
import { durationMs } from '../duration.js';
import type { ToolServerPlan } from '../plan/agent.js';
import { TOOL_DEFAULTS, type ToolPolicy } from './tool.js';

/** Tools of a server: what `mcpTools` makes. */
export interface ToolServer {
  readonly server: ToolServerPlan;
}

const KEYS = ['server', 'only', 'prefix', 'retry', 'timeout', 'priority', 'approval', 'onFailure'];

/**
 * The tools of an MCP server. How it is reached stands in the worker's file `MILLRACE_MCP_SERVERS` under its name. An agent
 * asks the server for its tools when it begins, and keeps to that list until it ends. A call is made once unless `retry` says
 * more: nobody knows what it does.
 *
 * ```ts
 * const files = mcpTools({ server: 'files', only: ['read_file', 'list_directory'] });
 * ```
 */
export function mcpTools(
  options: ToolPolicy & {
    /** Its name in the file of MCP servers. */
    readonly server: string;
    /** Names of the tools to offer. Default: all. */
    readonly only?: readonly string[];
    /** Stands before the tools' names, so that those of two servers differ. */
    readonly prefix?: string;
  },
): ToolServer {
  const { server, only, prefix, approval, onFailure = 'tell', retry, timeout, priority } = options;
  const unknown = Object.keys(options).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) throw invalid(`${server}.${unknown}`, `is not an option; there are ${KEYS.join(', ')}`);
  if (typeof server !== 'string' || server === '') throw invalid('mcpTools.server', 'must name an MCP server');
  if (only?.length === 0) throw invalid(`${server}.only`, 'is empty; leave it out to offer all tools');
  if (prefix !== undefined && !/^[A-Za-z0-9_-]{1,32}$/.test(prefix)) {
    throw invalid(`${server}.prefix`, 'must be 1 to 32 letters, digits, _ and -');
  }
  if (onFailure !== 'tell' && onFailure !== 'fail') {
    throw invalid(`${server}.onFailure`, `must be "tell" or "fail", not "${String(onFailure)}"`);
  }
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
      onFailure,
    },
  };
}

import { MillraceError } from '../../pipelines/errors.js';
import { sha256Hex } from '../../pipelines/plan/hash.js';
import { LONGEST_TOOL_NAME, toolNameOf } from '../../pipelines/plan/index.js';
import type { McpTool } from './servers.js';

/** A tool with the name that models know it by, where that is not the one made of the server's own. */
interface NamedTool extends McpTool {
  readonly as?: string;
}

interface Naming {
  /** Before each name. */
  readonly prefix: string;
  /** Names of the agent's own tools. */
  readonly reserved: readonly string[];
}

/** Characters of the hash that tells two names apart. */
const HASH = 8;

/**
 * The tools of a server with names that differ for a model: one whose name had to be changed or cut, and is then that of
 * another tool, gets a hash of its own name, whatever the order of the list. Throws `TOOLS_REFUSED` for a tool that is
 * named like one of the agent's own, which a model would call in its place, and for two tools of one name.
 */
export function toldApart(server: string, tools: readonly McpTool[], { prefix, reserved }: Naming): NamedTool[] {
  const whole = tools.map(({ name }) => `${prefix}${name}`);
  const names = whole.map(toolNameOf);
  const uses = new Map<string, number>();
  for (const name of [...names, ...reserved]) uses.set(name, (uses.get(name) ?? 0) + 1);
  const told = tools.map((tool, i): NamedTool => {
    const [own = '', name = ''] = [whole[i], names[i]];
    return name !== own && (uses.get(name) ?? 0) > 1 ? { ...tool, as: withHash(name, own) } : tool;
  });
  const taken = new Set(reserved);
  for (const [i, { as = names[i] ?? '' }] of told.entries()) {
    const whose = reserved.includes(as) ? 'one of the agent’s own tools' : 'another one';
    if (taken.has(as)) throw refused(server, as, whose);
    taken.add(as);
  }
  return told;
}

const withHash = (name: string, own: string): string =>
  `${name.slice(0, LONGEST_TOOL_NAME - HASH - 1)}_${sha256Hex(own).slice(0, HASH)}`;

const refused = (server: string, name: string, whose: string): MillraceError =>
  new MillraceError('TOOLS_REFUSED', `MCP server "${server}": its tool "${name}" has the name of ${whose}`);

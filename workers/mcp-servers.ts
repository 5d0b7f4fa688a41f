import { readFile } from 'node:fs/promises';
import { type McpConfig, parseMcpServers } from '../activities/mcp/index.js';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import type { Settings } from './settings.js';

/** The MCP servers in the file of `MILLRACE_MCP_SERVERS`; none if it is unset. Throws `INVALID_SETTING`. */
export async function loadMcpServers({ MILLRACE_MCP_SERVERS: file }: Settings): Promise<McpConfig> {
  if (file === undefined) return {};
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    const message = `cannot read ${file}: ${messageOf(error)}`;
    throw new MillraceError('INVALID_SETTING', `MILLRACE_MCP_SERVERS: ${message}`, {
      fields: [{ field: 'MILLRACE_MCP_SERVERS', message }],
    });
  }
  return parseMcpServers(value, file);
}

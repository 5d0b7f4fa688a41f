import { type McpConfig, parseMcpServers } from '../activities/mcp/index.js';
import { jsonOfSetting } from './setting-files.js';
import type { Settings } from './settings.js';

/** The MCP servers in the file of `MILLRACE_MCP_SERVERS`; none if it is unset. Throws `INVALID_SETTING`. */
export async function loadMcpServers({ MILLRACE_MCP_SERVERS: file }: Settings): Promise<McpConfig> {
  return file === undefined ? {} : parseMcpServers(await jsonOfSetting('MILLRACE_MCP_SERVERS', file), file);
}

export { type McpConfig, parseMcpServers } from './config.js';
export { serversWhenUsed } from './servers-when-used.js';
export { mcpKinds } from './worker-kinds.js';

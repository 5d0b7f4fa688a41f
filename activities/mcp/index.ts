export { type McpConfig, parseMcpServers } from './config.js';
export { McpServers } from './servers.js';
export { mcpKinds } from './worker-kinds.js';

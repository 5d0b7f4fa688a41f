import type { Json } from '../../pipelines/json.js';
import type { WorkerKind } from '../stage/worker-kind.js';
import type { McpServers } from './servers.js';

/** Stage kinds for an agent's calls of MCP servers. */
export const mcpKinds = (servers: McpServers): readonly (readonly [kind: string, run: WorkerKind])[] => [
  [
    'mcp-tools',
    async ({ model, with: { only } }, { signal }) => ({
      tools: (await servers.list(model, signal, only as readonly string[] | undefined)) as unknown as Json,
    }),
  ],
  [
    'mcp',
    async ({ model, with: { tool }, input }, { signal, idempotencyKey }) => ({
      result: await servers.call(model, String(tool), input, { signal, idempotencyKey }),
    }),
  ],
];

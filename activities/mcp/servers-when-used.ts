import type { McpConfig } from './config.js';
import type { McpServers } from './servers.js';

/** What a worker does with its MCP servers. */
export type McpCalls = Pick<McpServers, 'list' | 'call' | 'callAsking' | 'close'>;

/** MCP servers whose client is loaded for the first call: most workers make none, and loading it takes tens of milliseconds. */
export function serversWhenUsed(config: McpConfig): McpCalls {
  let opened: Promise<McpServers> | undefined;
  let closed = false;
  const servers = () => {
    opened ??= import('./servers.js').then(async ({ McpServers }) => {
      const made = new McpServers(config);
      // A call that comes after the end is refused, as by servers that were used before.
      if (closed) await made.close();
      return made;
    });
    return opened;
  };
  return {
    list: async (...given) => (await servers()).list(...given),
    call: async (...given) => (await servers()).call(...given),
    callAsking: async (...given) => (await servers()).callAsking(...given),
    async close() {
      closed = true;
      // A client that could not be loaded has nothing to close.
      await (await opened?.catch(() => undefined))?.close();
    },
  };
}

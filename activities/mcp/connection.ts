import { Client, StreamableHTTPClientTransport, type Transport } from '@modelcontextprotocol/client';
import { getDefaultEnvironment, StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { limited } from '../../runtime/limited.js';
import { boundedMessages } from './bounded-messages.js';
import type { McpServerConfig } from './config.js';
import { acceptTasks, TASKS } from './task.js';

/**
 * Longest start of a server including its handshake, in milliseconds: one that npx has to download first takes some ten
 * seconds.
 */
const START_MS = 30_000;

const CLIENT = { name: 'millrace', version: '1' };
const capabilities = { extensions: { [TASKS]: {} } };

/**
 * Connects to a server, in the newest version of the protocol that it speaks.
 * @param lost called when the connection is gone
 */
export async function open(config: McpServerConfig, lost: () => void): Promise<Client> {
  const client = new Client(CLIENT, { capabilities, versionNegotiation: { mode: 'auto' } });
  client.onclose = lost;
  const transport = transportOf(config);
  const never = new AbortController().signal;
  try {
    await limited(START_MS, never, () => client.connect(transport));
    acceptTasks(transport);
    return client;
  } catch (error) {
    await client.close().catch(() => undefined);
    throw error;
  }
}

function transportOf(config: McpServerConfig): Transport {
  if ('url' in config) {
    const { url, headers } = config;
    return new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers }, fetch: boundedMessages() });
  }
  const { command, args, env, cwd } = config;
  return new StdioClientTransport({
    command,
    args,
    env: { ...getDefaultEnvironment(), ...env },
    ...(cwd !== undefined && { cwd }),
    stderr: 'ignore',
  });
}

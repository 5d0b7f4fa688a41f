import {
  Client,
  type ElicitRequestParams,
  type ElicitResult,
  StreamableHTTPClientTransport,
  type Transport,
} from '@modelcontextprotocol/client';
import { getDefaultEnvironment, StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Agent } from 'undici';
import { LONGEST_TIMER_MS } from '../../pipelines/duration.js';
import { limited } from '../../runtime/limited.js';
import { boundedMessages } from './bounded-messages.js';
import type { McpServerConfig } from './config.js';
import { TiedRequests } from './requests.js';
import { acceptTasks, TASKS } from './task.js';

/**
 * Longest start of a server including its handshake, in milliseconds: one that npx has to download first takes some ten
 * seconds.
 */
const START_MS = 30_000;

const CLIENT = { name: 'millrace', version: '1' };
const extensions = { [TASKS]: {} };

/** Answers a server that asks during a call (`elicitation/create` of a version with a handshake). */
type OnAsked = (params: ElicitRequestParams) => Promise<ElicitResult>;

/**
 * Connects to a server, in the newest version of the protocol that it speaks.
 * @param lost called when the connection is gone
 * @param onAsked the server is told that a person can be asked. Absent: that nobody can
 */
export async function open(config: McpServerConfig, lost: () => void, onAsked?: OnAsked): Promise<Client> {
  const capabilities = { extensions, ...(onAsked && { elicitation: { form: {}, url: {} } }) };
  const client = new Client(CLIENT, { capabilities, versionNegotiation: { mode: 'auto' } });
  if (onAsked) client.setRequestHandler('elicitation/create', ({ params }) => onAsked(params));
  client.onclose = lost;
  const requests = new TiedRequests();
  const transport = transportOf(config, requests);
  const never = new AbortController().signal;
  try {
    await limited(START_MS, never, () => client.connect(transport));
    acceptTasks(transport);
    requests.tie(transport);
    return client;
  } catch (error) {
    await client.close().catch(() => undefined);
    throw error;
  }
}

/** A server may be silent for longer than the five minutes after which Node gives a response up: a person is asked meanwhile. */
const patient = new Agent({ headersTimeout: 0, bodyTimeout: 0 });
// Node's types lack `dispatcher`, which its `fetch` has.
const patientFetch: typeof fetch = (input, init) =>
  fetch(input, { ...init, dispatcher: patient } as unknown as RequestInit);

/** Shortest pause before a stream that has ended is opened again, in milliseconds, whatever its server wishes. */
const REOPEN_MS = 1_000;

function transportOf(config: McpServerConfig, requests: TiedRequests): Transport {
  if ('url' in config) {
    const { url, headers } = config;
    return new StreamableHTTPClientTransport(new URL(url), {
      requestInit: { headers },
      fetch: boundedMessages(requests.fetch(patientFetch)),
      reconnectionScheduler: (reconnect, wishedMs) => {
        const timer = setTimeout(reconnect, Math.min(Math.max(wishedMs, REOPEN_MS), LONGEST_TIMER_MS));
        return () => clearTimeout(timer);
      },
    });
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

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Message {
  readonly id?: number | string;
  readonly method: string;
  readonly params?: { readonly protocolVersion?: string; readonly name?: string };
}

/**
 * A remote server of version 2025-11-25 with sessions, which forgets them when it is told to and then answers their requests with a status. Its tool
 * `note` counts its calls; `slow` is answered when the test lets it, and `status-400` with this status. `stateless`: it has no sessions.
 */
export async function forgetfulServer({ stateless = false }: { readonly stateless?: boolean } = {}) {
  const sessions = new Set<string>();
  const counts = { opened: 0, calls: 0, refused: 0 };
  const ended: string[] = [];
  const waiting: (() => void)[] = [];
  let refusal = 404;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const session = request.headers['mcp-session-id'];
    if (request.method === 'DELETE') {
      sessions.delete(String(session));
      ended.push(String(session));
      return void response.writeHead(200).end();
    }
    if (request.method !== 'POST') return void response.writeHead(405).end();
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { id, method, params } = JSON.parse(Buffer.concat(chunks).toString()) as Message;
    const reply = (result: object, headers: Record<string, string> = {}) => {
      response.writeHead(200, { 'content-type': 'application/json', ...headers });
      response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
    };
    if (method === 'initialize') {
      const opened = `session-${++counts.opened}`;
      sessions.add(opened);
      const made = { protocolVersion: params?.protocolVersion, capabilities: { tools: {} } };
      const own = stateless ? {} : { 'mcp-session-id': opened };
      return reply({ ...made, serverInfo: { name: 'forgetful', version: '1' } }, own);
    }
    if (session === undefined && !stateless) return void response.writeHead(400).end();
    if (session !== undefined && !sessions.has(String(session))) {
      counts.refused++;
      const error = { code: -32001, message: 'Session not found' };
      response.writeHead(refusal, { 'content-type': 'application/json' });
      return void response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error }));
    }
    if (id === undefined) return void response.writeHead(202).end();
    if (method === 'tools/list') {
      const inputSchema = { type: 'object' };
      return reply({
        tools: [
          { name: 'note', inputSchema },
          { name: 'slow', inputSchema },
        ],
      });
    }
    if (method !== 'tools/call') return void response.writeHead(400).end();
    const status = /^status-(\d+)$/.exec(params?.name ?? '')?.[1];
    if (status !== undefined) return void response.writeHead(Number(status)).end();
    if (params?.name === 'slow') await new Promise<void>((resolve) => waiting.push(resolve));
    else counts.calls++;
    reply({ content: [{ type: 'text', text: String(session) }] });
  }

  const http = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const { port } = http.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    counts,
    /** Sessions that the client has ended. */
    ended,
    /** Calls of `slow` that wait. */
    waiting,
    /** @param status of each answer to a request of a session that it has forgotten */
    forget(status: 404 | 400): void {
      sessions.clear();
      refusal = status;
    },
    close(): Promise<void> {
      http.closeAllConnections();
      return new Promise((resolve) => http.close(() => resolve()));
    },
  };
}

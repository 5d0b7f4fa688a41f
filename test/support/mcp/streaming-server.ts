import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Message {
  readonly id?: number | string;
  readonly method: string;
  readonly params?: { readonly name?: string; readonly cursor?: string };
}

interface Behaviour {
  readonly version?: '2025-11-25' | '2026-07-28';
  /** What follows the headers of a stream that is opened by GET, which ends then. Absent: there is none. */
  readonly stream?: string;
  /** That stream stays open. */
  readonly stays?: boolean;
  /** The page of the tools behind a cursor. */
  readonly page?: (cursor: string | undefined) => object;
}

const MEBIBYTE = 'x'.repeat(1_024 * 1_024);
const RESULT = { resultType: 'complete', content: [{ type: 'text', text: 'done' }] };

/**
 * A remote server that answers calls by streams, and not as it should, by the name of the tool. `silent` is the headers alone, `cut` breaks off
 * behind them, `ends` ends there, `stays` has its result and stays open, `endless` is an event without end behind one with an id, and `many` a result of many objects.
 * `resumed` ends behind an id, and its stream is silent when it is resumed; `polled` ends so as well, has nothing when it is resumed, and its result when it is again. `elsewhere`
 * ends behind the headers, and has its result on the stream that belongs to no call.
 */
export async function streamingServer({ version = '2025-11-25', stream, stays, page }: Behaviour = {}) {
  const asked: string[] = [];
  const closed: string[] = [];
  let polled: string | undefined;
  let standalone: ServerResponse | undefined;
  let isRefused = false;

  async function endless(response: ServerResponse): Promise<void> {
    response.write('id: 1\ndata:\n\ndata: ');
    while (!response.closed) {
      if (response.writableNeedDrain) await new Promise((resolve) => setTimeout(resolve, 1));
      else response.write(MEBIBYTE);
    }
  }

  function open(name: string, response: ServerResponse): void {
    asked.push(name);
    response.on('close', () => closed.push(name));
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
  }

  function get(request: IncomingMessage, response: ServerResponse): void {
    const resumed = request.headers['last-event-id'];
    if (resumed !== undefined) {
      const isAgain = asked.includes(`resumed ${resumed}`);
      open(`resumed ${resumed}`, response);
      if (polled !== undefined) response.end(isAgain ? `data: ${polled}\n\n` : '');
      return;
    }
    asked.push('GET');
    if (stream === undefined || isRefused) return void response.writeHead(405).end();
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(stream);
    if (stays) standalone = response;
    else response.end();
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'GET') return void get(request, response);
    if (request.method !== 'POST') return void response.writeHead(405).end();
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { id, method, params } = JSON.parse(Buffer.concat(chunks).toString()) as Message;
    const body = (result: object) => JSON.stringify({ jsonrpc: '2.0', id, result });
    const reply = (result: object) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(body({ resultType: 'complete', ...result }));
    if (method !== 'tools/call') asked.push(method);
    if (id === undefined) return void response.writeHead(202).end();
    const own = { capabilities: { tools: {} }, ttlMs: 0, cacheScope: 'private' };
    if (method === 'server/discover') {
      if (version === '2025-11-25') return void response.writeHead(400).end();
      return void reply({ ...own, supportedVersions: [version] });
    }
    if (method === 'initialize')
      return void reply({ ...own, protocolVersion: version, serverInfo: { name: 'streaming', version: '1' } });
    if (method === 'tools/list') return void reply({ ...own, ...page?.(params?.cursor) });
    const { name = '' } = params ?? {};
    open(name, response);
    if (name === 'cut') setTimeout(() => response.socket?.destroy(), 50);
    if (name === 'ends') response.end();
    if (name === 'resumed' || name === 'polled') response.end('id: 7\ndata:\n\n');
    if (name === 'polled') polled = body(RESULT);
    if (name === 'elsewhere') {
      response.end();
      const tell = () => void (standalone ? standalone.write(`data: ${body(RESULT)}\n\n`) : setTimeout(tell, 50));
      setTimeout(tell, 300);
    }
    if (name === 'stays') response.write(`data: ${body(RESULT)}\n\n`);
    if (name === 'many') {
      const structuredContent = { all: Array(2_500_000).fill(0) };
      response.end(`data: ${body({ ...RESULT, structuredContent }).replaceAll('0,', '{},')}\n\n`);
    }
    if (name === 'endless') await endless(response);
  }

  const http = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const { port } = http.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    /** Tools that were called, other methods, and streams that were opened by GET. */
    asked,
    /** Answers by streams that have ended, on whichever side. */
    closed,
    /** Ends the stream that belongs to no call, and refuses others. */
    refuseStreams() {
      isRefused = true;
      standalone?.end();
    },
    count: (what: string) => asked.filter((each) => each === what).length,
    close(): Promise<void> {
      http.closeAllConnections();
      return new Promise((resolve) => http.close(() => resolve()));
    },
  };
}

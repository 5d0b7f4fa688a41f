import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import { connect, type Http2Server, createServer as http2Server, type ServerHttp2Stream } from 'node:http2';
import { afterEach, describe, expect, it } from 'vitest';
import { FaultyProxy } from '../../../../bench/chaos/proxy.js';
import { audioMark, textMark } from '../../../../bench/chaos/run-mark.js';
import type { Fault } from '../../../../bench/chaos/struck-calls.js';
import type { Start } from '../../../../bench/chaos/verdict.js';

/** Deals out what a test says, call by call. */
class Script {
  struck = 0;
  readonly #faults: (Fault | undefined)[];
  constructor(...faults: (Fault | undefined)[]) {
    this.#faults = faults;
  }
  next(): Fault | undefined {
    return this.#faults.shift();
  }
  strike(calls: number): void {
    this.struck += calls;
  }
}

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

async function behindProxy(server: Server | Http2Server, protocol: 'http1' | 'http2', faults: Script) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const target = (server.address() as { port: number }).port;
  const calls: Start[] = [];
  const proxy = await FaultyProxy.open({ port: 0, target, protocol, faults, onCall: (start) => calls.push(start) });
  open.push(proxy, server);
  return { port: proxy.port, calls };
}

/** The body of the answer, or the code of the error that the call ends with. */
function post(port: number, body: string): Promise<string> {
  return new Promise((resolve) => {
    const call = request({ port, host: '127.0.0.1', method: 'POST', agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve(text));
      response.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
    });
    call.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
    call.end(body);
  });
}

describe('the proxy in front of an HTTP/1.1 server', () => {
  const echo = (onBody: (body: string) => void = () => undefined) =>
    createServer(async (incoming, response) => {
      let text = '';
      for await (const chunk of incoming) text += chunk;
      onBody(text);
      response.end(`heard ${text}`);
    });

  it('passes calls on and knows whose they are', async () => {
    const { port, calls } = await behindProxy(echo(), 'http1', new Script());
    expect(await post(port, `{"prompt":"${textMark(42)}: hello"}`)).toBe('heard {"prompt":"run 0042: hello"}');
    expect(await post(port, 'of nobody')).toBe('heard of nobody');
    expect(calls.map(({ run, stage }) => [run, stage])).toEqual([[42, 'answer']]);
  });

  it('resets a refused call before the server has it whole', async () => {
    const received: string[] = [];
    const faults = new Script({ kind: 'refuse' });
    const { port } = await behindProxy(
      echo((body) => received.push(body)),
      'http1',
      faults,
    );
    expect(await post(port, 'x')).toBe('ECONNRESET');
    expect(await post(port, 'y')).toBe('heard y');
    expect(received).toEqual(['y']);
    expect(faults.struck).toBe(1);
  });

  it('resets a cut call in the middle of its answer', async () => {
    const received: string[] = [];
    const faults = new Script({ kind: 'cut' });
    const { port } = await behindProxy(
      echo((body) => received.push(body)),
      'http1',
      faults,
    );
    expect(await post(port, 'x'.repeat(1_000))).toBe('ECONNRESET');
    expect(received).toHaveLength(1);
    expect(faults.struck).toBe(1);
  });

  it('keeps a stalled call silent and then resets it', async () => {
    const faults = new Script({ kind: 'stall', ms: 300 });
    const { port } = await behindProxy(echo(), 'http1', faults);
    const began = performance.now();
    expect(await post(port, 'x')).toBe('ECONNRESET');
    expect(performance.now() - began).toBeGreaterThanOrEqual(290);
    expect(faults.struck).toBe(1);
  });

  it('shows the client a connection of a server that is gone as a reset one', async () => {
    const server = echo();
    const { port } = await behindProxy(server, 'http1', new Script());
    server.close();
    expect(await post(port, 'x')).toBe('ECONNRESET');
  });
});

describe('the proxy in front of an HTTP/2 server', () => {
  /** Answers each stream `ms` after it was heard. */
  const slow = (ms: number) => {
    const server = http2Server();
    server.on('stream', (stream) => {
      stream.on('error', () => undefined);
      stream.on('data', () => undefined);
      stream.on('end', () => setTimeout(() => !stream.destroyed && stream.end('answer'), ms));
    });
    return server;
  };
  const session = (port: number) => {
    const client = connect(`http://127.0.0.1:${port}`);
    client.on('error', () => undefined);
    open.push(client);
    return async (body: Buffer): Promise<string> => {
      const stream = client.request({ ':method': 'POST' });
      stream.end(body);
      let text = '';
      try {
        for await (const chunk of stream) text += chunk;
        return text || 'nothing';
      } catch {
        return 'reset';
      }
    };
  };
  const samples = (run: number) => Buffer.from(Float32Array.from(audioMark(run), (sample) => sample / 0x8000).buffer);

  it('knows the calls of one connection apart', async () => {
    const { port, calls } = await behindProxy(slow(1), 'http2', new Script());
    const call = session(port);
    const name = Buffer.from('\n\u0007whisper');
    const all = [Buffer.concat([name, samples(300)]), Buffer.from(`tts ${textMark(7)}, hello`), Buffer.from('canary')];
    // Above one frame of 16 KiB, and above what is looked at.
    all.push(Buffer.concat([name, samples(1), Buffer.alloc(40_000)]));
    expect(await Promise.all(all.map(call))).toEqual(['answer', 'answer', 'answer', 'answer']);
    expect(calls.map(({ run, stage }) => `${run} ${stage}`).sort()).toEqual([
      '1 transcribe',
      '300 transcribe',
      '7 speak',
    ]);
  });

  it('strikes all calls of a connection that is cut, and counts them', async () => {
    const faults = new Script(undefined, { kind: 'cut' }, undefined);
    // Only the second is answered, when all three are there: the others are open.
    const heard: ServerHttp2Stream[] = [];
    const server = http2Server();
    server.on('stream', (stream) => {
      stream.on('error', () => undefined);
      stream.on('data', () => undefined);
      stream.on('end', () => {
        heard.push(stream);
        if (heard.length === 3) heard[1]?.end('answer');
      });
    });
    const { port } = await behindProxy(server, 'http2', faults);
    const call = session(port);
    const ends = await Promise.all(['a', 'b', 'c'].map((text) => call(Buffer.from(text))));
    expect(ends).not.toContain('answer');
    expect(faults.struck).toBe(3);
  });

  it('forgets calls that have ended', async () => {
    const faults = new Script(undefined, { kind: 'refuse' });
    const { port } = await behindProxy(slow(1), 'http2', faults);
    const call = session(port);
    expect(await call(Buffer.from('a'))).toBe('answer');
    expect(await call(Buffer.from('b'))).not.toBe('answer');
    expect(faults.struck).toBe(1);
  });
});

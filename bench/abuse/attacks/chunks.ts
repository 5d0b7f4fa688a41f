import { connect } from 'node:net';
import { type AttackContext, type Load, paced } from '../attack.js';

/** Chunks of a body, of one byte each: seven times as many bytes on the wire. */
const CHUNKS = 40_000;
const PACE = { everyMs: 50, atOnce: 16, most: 400 };
/** Longest wait for an answer, in milliseconds: the gateway reads 100,000 small chunks in a second. */
const LONGEST_MS = 30_000;

const TEXT = `{"text":"${'a'.repeat(CHUNKS)}"}`;
const BODY = `${Array.from(TEXT, (letter) => `1\r\n${letter}\r\n`).join('')}0\r\n\r\n`;

/** Sends a request on a connection of its own. Undefined if it gets no answer. */
const answerTo = (head: readonly string[], port: number): Promise<string | undefined> =>
  new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.2' });
    let answer = '';
    const late = setTimeout(() => socket.destroy(), LONGEST_MS);
    socket
      .on('error', () => undefined)
      .on('data', (bytes: Buffer) => {
        answer += bytes.toString('latin1');
        if (answer.includes('\r\n\r\n')) socket.destroy();
      })
      .once('close', () => {
        clearTimeout(late);
        resolve(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
      });
    const fields = ['Host: 127.0.0.1', 'Content-Type: application/json', 'Transfer-Encoding: chunked'];
    socket.write(`${[...head, ...fields].join('\r\n')}\r\n\r\n${BODY}`);
  });

const sends = (head: (context: AttackContext) => readonly string[]) => (context: AttackContext) =>
  paced(PACE, context, () => answerTo(head(context), context.doors.http));

export const tinyChunks: readonly Load[] = [
  {
    name: 'tiny-chunks',
    about: 'runs whose input comes in 40,000 chunks of one byte',
    must: ['202'],
    may: ['429'],
    run: sends(({ secrets }) => ['POST /v1/pipelines/echo/runs HTTP/1.1', `Authorization: Bearer ${secrets.attacker}`]),
  },
  {
    name: 'tiny-chunks-without-key',
    about: 'the same to /healthz, which reads no body',
    must: ['200'],
    run: sends(() => ['GET /healthz HTTP/1.1']),
  },
];

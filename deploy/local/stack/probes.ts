import { get } from 'node:http';
import { connect } from 'node:net';
import { LOOPBACK } from '../../../workers/endpoints.js';
import type { Probe } from './part-spec.js';

/** `alive`: it responds, but is not ready. `silent`: no response. */
export type ProbeResult = 'ready' | 'alive' | 'silent';

/** Timeout of a response, in milliseconds. Triton's Python backend may stall for some seconds under a burst. */
const TIMEOUT_MS = 5_000;

export function runProbe(probe: Probe, timeoutMs = TIMEOUT_MS): Promise<ProbeResult> {
  return probe.kind === 'http' ? probeHttp(probe.url, timeoutMs) : probeRedis(probe.port, timeoutMs);
}

function probeHttp(url: string, timeoutMs: number): Promise<ProbeResult> {
  return new Promise((resolve) => {
    // A new connection each time: a kept one may lead to a process that has just died.
    const request = get(url, { agent: false, timeout: timeoutMs }, (response) => {
      response.resume();
      resolve(response.statusCode === 200 ? 'ready' : 'alive');
    });
    request.once('timeout', () => request.destroy());
    request.once('error', () => resolve('silent'));
    request.once('close', () => resolve('silent'));
  });
}

function probeRedis(port: number, timeoutMs: number): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: LOOPBACK });
    const end = (result: ProbeResult) => {
      resolve(result);
      socket.destroy();
    };
    socket.setTimeout(timeoutMs, () => end('silent'));
    socket.once('error', () => end('silent'));
    socket.once('connect', () => socket.write('PING\r\n'));
    // Redis responds with -LOADING while it loads its file.
    socket.once('data', (reply) => end(reply.toString('latin1').startsWith('+PONG') ? 'ready' : 'alive'));
    socket.once('close', () => resolve('silent'));
  });
}

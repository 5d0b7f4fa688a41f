import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { STACK_MARK } from '../../../deploy/local/stack/marks.js';
import { CLI_MAIN } from '../../../deploy/local/stack/paths.js';
import type { Check } from '../attack.js';
import { exchange, outcomeOf } from '../exchange.js';
import { environment, PROXIED_PORTS, settings } from '../settings.js';

const SECRET = 'a-secret-of-the-proxy-in-front-of-it';
const START_MS = 60_000;

/** A gateway behind an authenticating proxy, called without going through the proxy. */
export const besideTheProxy: Check = {
  name: 'beside-the-proxy',
  about: 'proxy mode without the tenant’s header, without the proxy’s secret, and gRPC',
  must: ['no tenant: 401 UNAUTHENTICATED', 'no secret: 401 UNAUTHENTICATED', 'both: 200', 'gRPC: closed'],
  async answers() {
    const child = spawn(process.execPath, [CLI_MAIN, 'gateway'], {
      env: {
        ...process.env,
        ...environment,
        MILLRACE_KEYS: '',
        MILLRACE_PROXY_AUTHENTICATES: 'yes',
        MILLRACE_PROXY_SECRET: SECRET,
        MILLRACE_GATEWAY_PORT: String(PROXIED_PORTS.http),
        MILLRACE_KSERVE_GRPC_PORT: String(PROXIED_PORTS.grpc),
        // `millrace down` also ends it if this process is gone.
        [STACK_MARK]: settings.MILLRACE_HOME,
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const ended = once(child, 'exit');
    const request = async (headers: Record<string, string>) =>
      outcomeOf(await exchange({ port: PROXIED_PORTS.http, path: '/v1/pipelines/echo', headers }));
    try {
      const until = Date.now() + START_MS;
      while ((await exchange({ port: PROXIED_PORTS.http, path: '/healthz' }).catch(() => undefined))?.status !== 200) {
        if (Date.now() > until || child.exitCode !== null) return ['the gateway did not start'];
        await sleep(100);
      }
      const secret = { 'millrace-proxy-secret': SECRET };
      const tenant = { 'millrace-tenant': 'bystander' };
      return [
        `no tenant: ${await request(secret)}`,
        `no secret: ${await request(tenant)}`,
        `both: ${await request({ ...secret, ...tenant })}`,
        `gRPC: ${await listens(PROXIED_PORTS.grpc)}`,
      ];
    } finally {
      child.kill('SIGTERM');
      await ended;
    }
  },
};

const listens = (port: number): Promise<'open' | 'closed'> =>
  new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      resolve('open');
    });
    socket.once('error', () => resolve('closed'));
  });

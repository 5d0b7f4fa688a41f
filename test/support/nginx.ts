import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { freePort } from './free-port.js';
import { startServer } from './server-process.js';

/** Distributions put it where a user’s PATH may not lead. */
const PATH = `${process.env.PATH}:/usr/sbin:/usr/local/sbin`;

export function hasNginx(): boolean {
  try {
    execFileSync('nginx', ['-v'], { stdio: 'ignore', env: { PATH } });
    return true;
  } catch {
    return false;
  }
}

export interface Front {
  readonly cert: string;
  readonly key: string;
  /** More directives of the server, e.g. who is let in. */
  readonly server: string;
}

/** Starts nginx with a TLS port for each front, all of which lead to a gRPC server. */
export async function startNginx(folder: string, upstream: string, fronts: readonly Front[], http = '') {
  const ports = await Promise.all(fronts.map(() => freePort()));
  const servers = fronts.map(
    ({ cert, key, server }, at) => `
  server {
    listen 127.0.0.1:${ports[at]} ssl; http2 on;
    ssl_certificate ${cert}; ssl_certificate_key ${key};
    ${server}
    location / { grpc_pass grpc://${upstream}; }
  }`,
  );
  for (const each of ['body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']) mkdirSync(path.join(folder, each));
  const temp = ['client_body_temp_path body', 'proxy_temp_path proxy', 'fastcgi_temp_path fastcgi']
    .concat('uwsgi_temp_path uwsgi', 'scgi_temp_path scgi')
    .map((line) => `  ${line.replace(/ (\w+)$/, ` ${folder}/$1`)};\n`)
    .join('');
  const config = path.join(folder, 'nginx.conf');
  // Long polls of workers take a minute and more, as long as nginx waits by default.
  writeFileSync(
    config,
    `daemon off; pid ${folder}/nginx.pid; error_log stderr warn; worker_processes 1;
events { worker_connections 512; }
http {
  access_log off; client_max_body_size 0; keepalive_requests 100000;
  grpc_read_timeout 600s; grpc_send_timeout 600s; client_body_timeout 600s;
${temp}  ${http}
${servers.join('')}
}
`,
  );
  const stop = await startServer({
    name: 'nginx',
    command: 'nginx',
    args: ['-c', config, '-p', folder, '-e', 'stderr'],
    env: { PATH },
    readyMs: 10_000,
    stopMs: 5_000,
    answers: async () => (await Promise.all(ports.map(listens))).every(Boolean),
  });
  return { ports, stop };
}

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.destroy());
    socket.on('close', (failed) => resolve(!failed)).on('error', () => undefined);
  });

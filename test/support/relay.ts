import { createServer, connect as dial, type Socket } from 'node:net';
import { listenAt } from './listen-at.js';

/** A second address of a server that can be made to go away while the first stays. */
export interface Relay {
  readonly address: string;
  goAway(): void;
}

/** @param own its port; 0: a free one */
export async function relay(target: string, own = 0): Promise<Relay> {
  const [host = '', port = ''] = target.split(':');
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = dial({ host, port: Number(port) });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy());
    }
    client.pipe(upstream).pipe(client);
  });
  const at = await listenAt(server, own);
  return {
    address: `127.0.0.1:${at}`,
    goAway() {
      server.close();
      for (const socket of sockets) socket.resetAndDestroy();
    },
  };
}

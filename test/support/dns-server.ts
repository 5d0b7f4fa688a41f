import { createSocket } from 'node:dgram';
import type { AddressInfo } from 'node:net';

export type DnsRecord =
  | { readonly a: string }
  | { readonly srv: string; readonly port: number; readonly priority: number; readonly weight: number };

const TYPES = { a: 1, srv: 33 };
const NXDOMAIN = 3;
const SERVFAIL = 2;

/** A name server of a test's own: it answers A and SRV queries from `names`, and NXDOMAIN for any other name. */
export class DnsServer {
  readonly names = new Map<string, readonly DnsRecord[]>();
  /** It answers nothing but SERVFAIL. */
  broken = false;
  readonly #socket = createSocket('udp4');

  static async start(): Promise<DnsServer> {
    const server = new DnsServer();
    server.#socket.on('message', (query, { port, address }) =>
      server.#socket.send(server.#answer(query), port, address),
    );
    await new Promise<void>((resolve) => server.#socket.bind(0, '127.0.0.1', resolve));
    return server;
  }

  get address(): string {
    return `127.0.0.1:${(this.#socket.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#socket.close();
  }

  #answer(query: Buffer): Buffer {
    let at = 12;
    const labels: string[] = [];
    for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
    }
    const type = query.readUInt16BE(at + 1);
    const question = query.subarray(12, at + 5);
    const records = this.names.get(labels.join('.').toLowerCase());
    const code = this.broken ? SERVFAIL : records ? 0 : NXDOMAIN;
    const answers = code === 0 ? (records ?? []).flatMap((record) => encoded(record, type)) : [];
    const header = Buffer.alloc(12);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(0x8180 | code, 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(answers.length, 6);
    return Buffer.concat([header, question, ...answers]);
  }
}

function encoded(record: DnsRecord, type: number): Buffer[] {
  const data = 'a' in record ? Buffer.from(record.a.split('.').map(Number)) : srv(record);
  if (type !== ('a' in record ? TYPES.a : TYPES.srv)) return [];
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0); // the question's name
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(data.length, 10);
  return [Buffer.concat([head, data])];
}

function srv({ srv: target, port, priority, weight }: Extract<DnsRecord, { srv: string }>): Buffer {
  const numbers = Buffer.alloc(6);
  numbers.writeUInt16BE(priority, 0);
  numbers.writeUInt16BE(weight, 2);
  numbers.writeUInt16BE(port, 4);
  const labels = target.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  return Buffer.concat([numbers, ...labels, Buffer.from([0])]);
}

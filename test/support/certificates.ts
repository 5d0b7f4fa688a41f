import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';

/** Paths of PEM files. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** An authority of a test’s own, made by `openssl` in a folder. */
export class Authority {
  readonly #folder: string;
  readonly #own: Pair;

  private constructor(folder: string, own: Pair) {
    this.#folder = folder;
    this.#own = own;
  }

  static make(folder: string, name: string): Authority {
    const own = pairIn(folder, name);
    const constraints = ['-addext', 'basicConstraints=critical,CA:TRUE'];
    openssl(
      'req',
      '-x509',
      '-new',
      '-key',
      own.key,
      '-subj',
      `/CN=${name}`,
      '-days',
      '2',
      '-out',
      own.cert,
      ...constraints,
    );
    return new Authority(folder, own);
  }

  /** Path of its own certificate. */
  get cert(): string {
    return this.#own.cert;
  }

  /** `names` as openssl writes them, e.g. `DNS:localhost`. With `days` 0 it has expired a second later. */
  sign(name: string, { names = `DNS:${name}`, days = 1 } = {}): Pair {
    const pair = pairIn(this.#folder, name);
    const at = (end: string) => path.join(this.#folder, `${name}.${end}`);
    openssl('req', '-new', '-key', pair.key, '-subj', `/CN=${name}`, '-out', at('csr'));
    writeFileSync(at('ext'), `subjectAltName=${names}\n`);
    const signer = ['-CA', this.#own.cert, '-CAkey', this.#own.key, '-CAcreateserial', '-days', String(days)];
    openssl('x509', '-req', '-in', at('csr'), ...signer, '-extfile', at('ext'), '-out', pair.cert);
    return pair;
  }
}

function pairIn(folder: string, name: string): Pair {
  const key = path.join(folder, `${name}.key`);
  openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', key);
  return { key, cert: path.join(folder, `${name}.pem`) };
}

export function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWK, type JWSAlgorithm, SignJWT } from 'jose';

/** What the tokens of the tests are for. */
export const AUDIENCE = 'https://gateway.example';

type Answer = (response: ServerResponse, body: URLSearchParams) => unknown;

/** A key pair with which tokens are signed. */
export interface SigningKey {
  readonly kid: string;
  readonly alg: JWSAlgorithm;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
}

export async function signingKey(kid: string, alg: JWSAlgorithm = 'ES256'): Promise<SigningKey> {
  return { kid, alg, ...(await generateKeyPair(alg, { extractable: true })) };
}

export const publicJwk = async ({ kid, alg, publicKey }: SigningKey): Promise<JWK> => ({
  ...(await exportJWK(publicKey)),
  kid,
  alg,
  use: 'sig',
});

export const pemOf = ({ publicKey }: SigningKey): Promise<string> => exportSPKI(publicKey);

/** An identity provider: discovery, keys, and tokens for whoever asks. */
export class OidcIssuer {
  readonly url: string;
  /** Paths that were requested, in order. */
  readonly asked: string[] = [];
  /** Parameters of the requests for tokens, in order. */
  readonly requests: Record<string, string>[] = [];
  /** The keys that it publishes; the first one signs. */
  keys: readonly SigningKey[];
  /** Answers in place of its own, by path. */
  readonly instead = new Map<string, Answer>();
  /** Whether it drops connections. */
  away = false;
  readonly #server: Server;

  private constructor(server: Server, keys: readonly SigningKey[]) {
    this.#server = server;
    this.keys = keys;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (request: IncomingMessage, response: ServerResponse) => void this.#serve(request, response));
  }

  static async start(key?: SigningKey): Promise<OidcIssuer> {
    const keys = [key ?? (await signingKey('first'))];
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new OidcIssuer(server, keys);
  }

  /** A token that the gateway of the tests accepts, but for what is given. A claim that is undefined is left out. */
  async token(
    claims: Record<string, unknown> = {},
    { header = {}, key = this.keys[0] }: { header?: Record<string, unknown>; key?: SigningKey | undefined } = {},
  ): Promise<string> {
    if (key === undefined) throw new Error('the issuer has no key');
    const { kid, alg, privateKey } = key;
    return await new SignJWT({ ...this.claims(), ...claims })
      .setProtectedHeader({ typ: 'at+jwt', kid, alg, ...header })
      .sign(privateKey);
  }

  claims(): Record<string, unknown> {
    const now = Math.floor(Date.now() / 1_000);
    const scope = 'openid millrace:run millrace:read';
    return { iss: this.url, aud: AUDIENCE, sub: 'ada', tenant: 'acme', scope, iat: now, exp: now + 300 };
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? '/', this.url).pathname;
    this.asked.push(path);
    if (this.away) return void request.socket.destroy();
    const body: Buffer[] = [];
    for await (const piece of request) body.push(piece as Buffer);
    const answer = this.instead.get(path) ?? this.#own(path);
    await answer(response, new URLSearchParams(Buffer.concat(body).toString()));
  }

  #own(path: string): Answer {
    const answers: Readonly<Record<string, Answer>> = {
      '/.well-known/openid-configuration': (response) => sendJson(response, this.configuration()),
      '/keys': async (response) => sendJson(response, { keys: await Promise.all(this.keys.map(publicJwk)) }),
      '/token': async (response, parameters) => {
        const asked = Object.fromEntries(parameters);
        this.requests.push(asked);
        const scope = asked.scope ?? 'millrace:run millrace:read';
        const token = await this.token({ aud: asked.resource ?? AUDIENCE, sub: 'an-agent', scope });
        sendJson(response, { access_token: token, token_type: 'Bearer', expires_in: 300, scope });
      },
    };
    return answers[path] ?? ((response) => response.writeHead(404).end());
  }

  configuration(): Record<string, unknown> {
    return {
      issuer: this.url,
      jwks_uri: `${this.url}/keys`,
      authorization_endpoint: `${this.url}/authorize`,
      token_endpoint: `${this.url}/token`,
      response_types_supported: ['code'],
      code_challenge_methods_supported: ['S256'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
      token_endpoint_auth_methods_supported: ['client_secret_basic'],
    };
  }
}

export function sendJson(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

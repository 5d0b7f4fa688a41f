import { createPublicKey, createVerify, generateKeyPairSync } from 'node:crypto';
import { type Asked, chatDelta, type Told } from '../servers/fixture-server.js';

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const PEM = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
const PUBLIC = createPublicKey(PEM);
const EMAIL = 'caller@project.iam.gserviceaccount.com';

/** What a model that is deployed to an endpoint answers, by the method of the call: `predict`, `rawPredict`, `streamRawPredict`. */
type Deployed = (asked: Asked, method: string) => Told | Promise<Told>;

/** Google's token endpoint, which checks the assertion, and an endpoint of Vertex AI that takes its tokens only. */
export class Google {
  issued = 0;
  expiresIn = 3_600;
  /** The token that is taken. */
  good = () => `ya29.token-${this.issued}`;
  down = false;
  /** No exchange is answered. */
  hangs = false;
  /** Exchanges that were asked for. */
  asked = 0;
  readonly #deployed: Deployed;

  constructor(deployed: Deployed = documented) {
    this.#deployed = deployed;
  }

  tell = (asked: Asked): Told | Promise<Told> => (asked.path === '/token' ? this.#token(asked) : this.#vertex(asked));

  #token({ text }: Asked): Told {
    this.asked++;
    if (this.hangs) return { never: true };
    if (this.down) return { status: 503, text: 'try later' };
    const form = new URLSearchParams(text);
    const [head = '', claims = '', signature = ''] = form.get('assertion')?.split('.') ?? [];
    const { iss, aud, scope, iat, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString());
    const signed = createVerify('RSA-SHA256').update(`${head}.${claims}`);
    const now = Date.now() / 1_000;
    const fits =
      form.get('grant_type') === 'urn:ietf:params:oauth:grant-type:jwt-bearer' &&
      JSON.parse(Buffer.from(head, 'base64url').toString()).alg === 'RS256' &&
      signed.verify(PUBLIC, signature, 'base64url') &&
      iss === EMAIL &&
      aud.endsWith('/token') &&
      scope === 'https://www.googleapis.com/auth/cloud-platform' &&
      Math.abs(iat - now) < 60 &&
      exp - iat === 3_600;
    if (!fits) return { status: 400, json: { error: 'invalid_grant', error_description: 'Invalid JWT Signature.' } };
    this.issued++;
    return { json: { access_token: `ya29.token-${this.issued}`, expires_in: this.expiresIn, token_type: 'Bearer' } };
  }

  #vertex(asked: Asked): Told | Promise<Told> {
    const { path, headers } = asked;
    if (headers.authorization !== `Bearer ${this.good()}`)
      return failed(401, 'UNAUTHENTICATED', `Request had invalid authentication credentials: ${headers.authorization}`);
    const [, model, method = ''] =
      /^\/v1\/projects\/p-1\/locations\/europe-west4\/endpoints\/(\w+):(\w+)$/.exec(path) ?? [];
    if (model !== 'model')
      return failed(404, 'NOT_FOUND', `Endpoint \`projects/1/locations/europe-west4/endpoints/${model}\` not found.`);
    return this.#deployed(asked, method);
  }
}

/** An error as Google's APIs word it. */
export const failed = (code: number, status: string, message: string): Told => ({
  status: code,
  json: { error: { code, message, status } },
});

function documented({ json }: Asked, method: string): Told {
  if (method === 'streamRawPredict') {
    return {
      headers: { 'content-type': 'text/event-stream' },
      parts: [chatDelta('Paris,'), chatDelta(' of course', 'stop'), 'data: [DONE]\n\n'],
    };
  }
  if (method === 'rawPredict') return { json: { predictions: [{ raw: 1, no: 0 }] } };
  const [first] = json.instances;
  if (first === 'slow') return { never: true };
  if (first === 'bad') return failed(400, 'INVALID_ARGUMENT', 'text must not be bad');
  if (first === 'cold')
    return failed(
      429,
      'RESOURCE_EXHAUSTED',
      'Model is not yet ready for inference. Please wait and then try your request again.',
    );
  if (first === 'busy')
    return failed(429, 'RESOURCE_EXHAUSTED', 'Quota exceeded for aiplatform.googleapis.com/online_prediction_requests');
  if (first === 'embed') return { json: { predictions: json.instances.map(() => [3, 4]) } };
  return { json: { predictions: typeof first === 'string' ? [{ yes: 0.75, no: 0.25 }] : json.instances } };
}

/** As the contract needs it, whose clients have a token each: all tokens that were given are taken. */
export function forSeveralClients(google: Google): (asked: Asked) => Told | Promise<Told> {
  return (asked) => {
    const given = asked.headers.authorization?.slice('Bearer '.length);
    google.good = () => (given?.startsWith('ya29.token-') ? given : 'none');
    return google.tell(asked);
  };
}

export const account = (url: string, more: object = {}) =>
  JSON.stringify({
    type: 'service_account',
    client_email: EMAIL,
    private_key: PEM,
    private_key_id: 'k1',
    token_uri: `${url}/token`,
    project_id: 'p-1',
    ...more,
  });
export const values = { project: 'p-1', location: 'europe-west4' };

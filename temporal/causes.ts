import { X509Certificate } from 'node:crypto';
import { type Ended, NO_HTTP2, SILENT } from './ask.js';

/** Why a Temporal server cannot be reached. */
export interface Trouble {
  readonly cause: string;
  /** What to do, where it is more than to start the server or to correct its address. */
  readonly remedy?: string;
}

/** What a server was asked with. */
export interface Client {
  readonly host: string;
  /** Whether the authority of its certificate is given, in place of those that Node knows. */
  readonly ownAuthority: boolean;
  readonly keyed: boolean;
  /** In PEM. */
  readonly certificate: Uint8Array | undefined;
}

export type Failed = Exclude<Ended, { at: 'answer' }>;
export type Answered = Extract<Ended, { at: 'answer' }>;

/** What OpenSSL says of a chain that ends at no authority it trusts. */
const UNKNOWN_AUTHORITY: ReadonlySet<string> = new Set([
  ...['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'],
  ...['SELF_SIGNED_CERT_IN_CHAIN', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'CERT_SIGNATURE_FAILURE'],
  ...['CERT_UNTRUSTED', 'INVALID_CA'],
]);

/** Alerts by which a server refuses the client’s certificate, or that there is none. */
const CERTIFICATE_ALERT =
  /ALERT_(CERTIFICATE_\w+|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE_FAILURE)$/;

/** gRPC’s status codes. */
const REFUSED: ReadonlySet<number> = new Set([7 /* PERMISSION_DENIED */, 16 /* UNAUTHENTICATED */]);
const UNIMPLEMENTED = 12;

const NETWORK = 'correct TEMPORAL_ADDRESS, or the network and its firewalls';
const CERTIFY = 'set TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH to a pair that the server accepts';

export const TLS_IS_OFF: Trouble = { cause: 'the server speaks TLS, and TLS is off', remedy: 'set TEMPORAL_TLS=true' };
export const TLS_IS_ON: Trouble = {
  cause: 'the server speaks plain text, and TLS is on',
  remedy: 'set TEMPORAL_ADDRESS to a port that speaks TLS, or TEMPORAL_TLS=false',
};

/** Of a connection that did not come about. */
export function ofNetwork({ at, error: { code, message } }: Failed, { host }: Client): Trouble | undefined {
  if (at !== 'connect') return undefined;
  if (code === 'ECONNREFUSED') return { cause: `nothing listens there (${code})` };
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    const remedy = 'correct TEMPORAL_ADDRESS, or the DNS of this machine';
    return { cause: `the name ${host} does not resolve (${code})`, remedy };
  }
  const cause = code === SILENT ? 'it does not answer: a firewall may drop what is sent there' : `${message}`;
  return { cause, remedy: NETWORK };
}

/** Of a TLS handshake that one of both sides has refused for a reason that it names. */
export function ofHandshake({ error }: Failed, client: Client): Trouble | undefined {
  const { code = '' } = error;
  if (UNKNOWN_AUTHORITY.has(code)) {
    const authority = client.ownAuthority
      ? 'not signed by the authority of TEMPORAL_TLS_SERVER_CA_CERT_PATH'
      : 'signed by an authority that is unknown here';
    const remedy = 'set TEMPORAL_TLS_SERVER_CA_CERT_PATH to the certificate of the authority that signed it';
    return { cause: `the server’s certificate is ${authority} (${code})`, remedy };
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const names = (error as { cert?: { subjectaltname?: string } }).cert?.subjectaltname ?? 'none';
    const remedy = 'set TEMPORAL_TLS_SERVER_NAME to one of them, or correct TEMPORAL_ADDRESS';
    return { cause: `the server’s certificate is for other names: ${names}`, remedy };
  }
  if (code === 'CERT_HAS_EXPIRED') {
    const cause = 'the server’s certificate, or that of its authority, has expired';
    return { cause, remedy: 'have it renewed at the server' };
  }
  if (code === 'CERT_NOT_YET_VALID') {
    const remedy = 'compare the clock of this machine with that of the server';
    return { cause: 'the server’s certificate is not valid yet', remedy };
  }
  if (code.endsWith('UNRECOGNIZED_NAME')) {
    const remedy = 'correct TEMPORAL_TLS_SERVER_NAME or TEMPORAL_ADDRESS';
    return { cause: 'the server has no certificate for the name that it is asked for', remedy };
  }
  if (code === NO_HTTP2 || code.endsWith('NO_APPLICATION_PROTOCOL')) {
    return { cause: 'what listens there speaks TLS but not HTTP/2: it is no gRPC server' };
  }
  return CERTIFICATE_ALERT.test(code) ? ofClientCertificate(client, code) : undefined;
}

/** Of an answer; undefined when it is the one of Temporal’s frontend. */
export function ofAnswer({ status, grpcStatus, body }: Answered, client: Client): Trouble | undefined {
  const how = grpcStatus === undefined ? `HTTP ${status}` : `gRPC status ${grpcStatus}`;
  if (grpcStatus === 0) return undefined;
  if (status === 401 || status === 403 || (grpcStatus !== undefined && REFUSED.has(grpcStatus))) {
    if (!client.keyed) {
      const remedy = 'set TEMPORAL_API_KEY, or a client certificate by TEMPORAL_TLS_CLIENT_CERT_PATH and _KEY_PATH';
      return { cause: `the server refuses a client without an API key (${how})`, remedy };
    }
    const remedy = 'set TEMPORAL_API_KEY to a key of this server and namespace that has not expired';
    return { cause: `the server refuses the API key (${how})`, remedy };
  }
  // nginx completes the handshake and says by HTTP what it dislikes; 495 and 496 are its codes for it.
  if (/SSL certificate/i.test(body)) return ofClientCertificate(client, how);
  if (/plain HTTP request/i.test(body)) return TLS_IS_OFF;
  if (status >= 500) return { cause: `a proxy answers, and does not reach Temporal (${how})` };
  if (grpcStatus === undefined || grpcStatus === UNIMPLEMENTED) {
    return { cause: `what listens there is not Temporal’s frontend (${how})` };
  }
  return { cause: `Temporal answers with ${how}` };
}

/** Of a server that has refused the client’s certificate, or that there is none. */
export function ofClientCertificate({ certificate }: Client, how: string): Trouble {
  if (certificate === undefined) {
    return { cause: `the server wants a client certificate, and none is set (${how})`, remedy: CERTIFY };
  }
  const { validTo } = new X509Certificate(certificate);
  if (Date.parse(validTo) < Date.now()) {
    return { cause: `the client certificate has expired: it was valid until ${validTo}`, remedy: CERTIFY };
  }
  return { cause: `the server does not accept the client certificate (${how})`, remedy: CERTIFY };
}

import { X509Certificate } from 'node:crypto';
import { type Ended, NO_HTTP2, SILENT } from './probe.js';

/** Why a Temporal server is unreachable. */
export interface Trouble {
  readonly cause: string;
  /** What to do, if it is more than starting the server or correcting its address. */
  readonly remedy?: string;
  /** It has not responded in time: it may only be slow. */
  readonly isSilent?: true;
}

/** The settings that a server was probed with. */
export interface Client {
  readonly host: string;
  /** Whether the certificate authority is configured, instead of Node's built-in ones. */
  readonly ownAuthority: boolean;
  readonly keyed: boolean;
  /** PEM. */
  readonly certificate: Uint8Array | undefined;
}

export type Failed = Exclude<Ended, { at: 'answer' }>;
export type Answered = Extract<Ended, { at: 'answer' }>;

/** OpenSSL's error codes for a chain that ends at no trusted authority. */
const UNKNOWN_AUTHORITY: ReadonlySet<string> = new Set([
  ...['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'],
  ...['SELF_SIGNED_CERT_IN_CHAIN', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'CERT_SIGNATURE_FAILURE'],
  ...['CERT_UNTRUSTED', 'INVALID_CA'],
]);

/** TLS alerts by which a server rejects the client’s certificate, or its absence. */
const CERTIFICATE_ALERT =
  /ALERT_(CERTIFICATE_\w+|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE_FAILURE)$/;

/** gRPC’s status codes. */
const REFUSED: ReadonlySet<number> = new Set([7 /* PERMISSION_DENIED */, 16 /* UNAUTHENTICATED */]);
const UNIMPLEMENTED = 12;

const NETWORK = 'correct TEMPORAL_ADDRESS, or the network and its firewalls';
const CERTIFY = 'set TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH to a pair that the server accepts';

export const TLS_IS_OFF: Trouble = { cause: 'the server uses TLS, but TLS is off', remedy: 'set TEMPORAL_TLS=true' };
export const TLS_IS_ON: Trouble = {
  cause: 'the server does not use TLS, but TLS is on',
  remedy: 'set TEMPORAL_ADDRESS to a TLS port, or TEMPORAL_TLS=false',
};

/** The cause of a failed connection. */
export function ofNetwork({ at, error: { code, message } }: Failed, { host }: Client): Trouble | undefined {
  if (at !== 'connect') return undefined;
  if (code === 'ECONNREFUSED') return { cause: `connection refused: no server listens there (${code})` };
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    const remedy = 'correct TEMPORAL_ADDRESS, or the DNS of this machine';
    return { cause: `the name ${host} does not resolve (${code})`, remedy };
  }
  if (code === SILENT)
    return { cause: 'no response: a firewall may drop the packets', remedy: NETWORK, isSilent: true };
  return { cause: `${message}`, remedy: NETWORK };
}

/** The cause of a failed TLS handshake, if one of the two sides has named it. */
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
    return { cause, remedy: 'renew it at the server' };
  }
  if (code === 'CERT_NOT_YET_VALID') {
    const remedy = 'check the clocks of this machine and of the server';
    return { cause: 'the server’s certificate is not valid yet', remedy };
  }
  if (code.endsWith('UNRECOGNIZED_NAME')) {
    const remedy = 'correct TEMPORAL_TLS_SERVER_NAME or TEMPORAL_ADDRESS';
    return { cause: 'the server has no certificate for the requested name', remedy };
  }
  if (code === NO_HTTP2 || code.endsWith('NO_APPLICATION_PROTOCOL')) {
    return { cause: 'the server uses TLS but not HTTP/2: it is not a gRPC server' };
  }
  return CERTIFICATE_ALERT.test(code) ? ofClientCertificate(client, code) : undefined;
}

/** The cause in a response; undefined if the response is from Temporal’s frontend. */
export function ofAnswer({ status, grpcStatus, body }: Answered, client: Client): Trouble | undefined {
  const how = grpcStatus === undefined ? `HTTP ${status}` : `gRPC status ${grpcStatus}`;
  if (grpcStatus === 0) return undefined;
  if (status === 401 || status === 403 || (grpcStatus !== undefined && REFUSED.has(grpcStatus))) {
    if (!client.keyed) {
      const remedy = 'set TEMPORAL_API_KEY, or a client certificate with TEMPORAL_TLS_CLIENT_CERT_PATH and _KEY_PATH';
      return { cause: `the server rejects clients without an API key (${how})`, remedy };
    }
    const remedy = 'set TEMPORAL_API_KEY to a key of this server and namespace that has not expired';
    return { cause: `the server rejects the API key (${how})`, remedy };
  }
  // nginx completes the handshake and reports the rejection by HTTP; 495 and 496 are its status codes for it.
  if (/SSL certificate/i.test(body)) return ofClientCertificate(client, how);
  if (/plain HTTP request/i.test(body)) return TLS_IS_OFF;
  if (status >= 500) return { cause: `a proxy responds but cannot reach Temporal (${how})` };
  if (grpcStatus === undefined || grpcStatus === UNIMPLEMENTED) {
    return { cause: `the server is not Temporal’s frontend (${how})` };
  }
  return { cause: `Temporal responds with ${how}` };
}

/** The cause if a server has rejected the client’s certificate, or its absence. */
export function ofClientCertificate({ certificate }: Client, how: string): Trouble {
  if (certificate === undefined) {
    return { cause: `the server requires a client certificate, but none is set (${how})`, remedy: CERTIFY };
  }
  const { validTo } = new X509Certificate(certificate);
  if (Date.parse(validTo) < Date.now()) {
    return { cause: `the client certificate has expired: it was valid until ${validTo}`, remedy: CERTIFY };
  }
  return { cause: `the server rejects the client certificate (${how})`, remedy: CERTIFY };
}

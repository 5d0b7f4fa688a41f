import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { TLSConfig } from '@temporalio/client';
import { messageOf } from '../pipelines/errors.js';
import { invalidSetting } from '../pipelines/invalid-setting.js';
import { isLoopback } from '../runtime/loopback.js';
import type { TemporalVariables } from './profile.js';

/** A server with a known address, described by the variables of `withProfile`. */
export type TemporalServer = TemporalVariables & { readonly TEMPORAL_ADDRESS: string };

/** Connection options shared by the SDK's two clients, Node's and the native one. */
export interface ReachOptions {
  readonly address: string;
  readonly apiKey?: string;
  readonly tls: TLSConfig | false;
}

/**
 * Reads and validates certificates and keys, because the SDK reports a bad one only as a timeout. Throws
 * `INVALID_SETTING` naming the variable.
 */
export function reachOptions(server: TemporalServer): ReachOptions {
  const { TEMPORAL_ADDRESS: address, TEMPORAL_API_KEY: apiKey, TEMPORAL_TLS: tls } = server;
  placeOf(server);
  return { address, ...(apiKey !== undefined && { apiKey }), tls: tls === 'true' && tlsOf(server) };
}

export interface Place {
  readonly host: string;
  readonly port: number;
}

/** Temporal’s default port. */
const PORT = 7233;

export function placeOf({ TEMPORAL_ADDRESS: address }: TemporalServer): Place {
  const url = URL.canParse(`tcp://${address}`) ? new URL(`tcp://${address}`) : undefined;
  if (!url?.hostname || url.href !== `tcp://${url.host}`) {
    throw invalidSetting('TEMPORAL_ADDRESS', 'must be host:port, e.g. temporal.internal:7233');
  }
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? PORT : Number(url.port) };
}

/** Node's gRPC would send traffic for this machine to a proxy from the environment, which cannot reach it. */
export const channelArgs = (address: string) =>
  isLoopback(address) ? { channelArgs: { 'grpc.enable_http_proxy': 0 } } : {};

function tlsOf(server: TemporalServer): TLSConfig {
  const authority = pem(server, 'SERVER_CA_CERT');
  const certificate = pem(server, 'CLIENT_CERT');
  const key = pem(server, 'CLIENT_KEY');
  if (authority) x509(authority);
  if (certificate && !key) throw invalidSetting(certificate.name, 'has no key: set TEMPORAL_TLS_CLIENT_KEY_PATH');
  if (key && !certificate) throw invalidSetting(key.name, 'has no certificate: set TEMPORAL_TLS_CLIENT_CERT_PATH');
  if (certificate && key && !x509(certificate).checkPrivateKey(privateKey(key))) {
    throw invalidSetting(key.name, 'this is not the key of the client certificate');
  }
  const name = server.TEMPORAL_TLS_SERVER_NAME;
  return {
    ...(name !== undefined && { serverNameOverride: name }),
    ...(authority && { serverRootCACertificate: authority.bytes }),
    ...(certificate && key && { clientCertPair: { crt: certificate.bytes, key: key.bytes } }),
  };
}

interface Pem {
  /** The variable that it comes from. */
  readonly name: string;
  readonly bytes: Buffer;
}

function pem(server: TemporalServer, what: 'SERVER_CA_CERT' | 'CLIENT_CERT' | 'CLIENT_KEY'): Pem | undefined {
  const data = server[`TEMPORAL_TLS_${what}_DATA`];
  if (data !== undefined) return { name: `TEMPORAL_TLS_${what}_DATA`, bytes: Buffer.from(data) };
  const name = `TEMPORAL_TLS_${what}_PATH` as const;
  const file = server[name];
  if (file === undefined) return undefined;
  try {
    return { name, bytes: readFileSync(file) };
  } catch (error) {
    throw invalidSetting(name, `the file cannot be read: ${messageOf(error)}`);
  }
}

function x509({ name, bytes }: Pem): X509Certificate {
  // The SDK accepts PEM only, Node's class other formats too.
  if (!bytes.includes('-----BEGIN CERTIFICATE-----'))
    throw invalidSetting(name, 'contains no certificate in PEM format');
  try {
    return new X509Certificate(bytes);
  } catch (error) {
    throw invalidSetting(name, `cannot parse its certificate: ${messageOf(error)}`);
  }
}

function privateKey({ name, bytes }: Pem) {
  if (bytes.includes('ENCRYPTED'))
    throw invalidSetting(name, 'the key has a passphrase, which Temporal’s clients do not support');
  try {
    return createPrivateKey(bytes);
  } catch {
    // Its message may contain the file's content.
    throw invalidSetting(name, 'contains no private key in PEM format');
  }
}

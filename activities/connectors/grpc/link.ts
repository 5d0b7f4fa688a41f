import { type ChannelCredentials, type ChannelOptions, credentials, Metadata } from '@grpc/grpc-js';
import { invalidSetting } from '../../../pipelines/invalid-setting.js';
import type { Link } from '../connector.js';

const isTls = (address: string): boolean => address.startsWith('grpcs://');

/** Those of a link's certificates. */
export function credentialsOf(address: string, { tls }: Link): ChannelCredentials {
  if (!isTls(address)) {
    if (tls) throw invalidSetting('tls', `is for endpoints that begin with grpcs://, not ${address}`, 'models');
    return credentials.createInsecure();
  }
  const pem = (text: string | undefined) => (text === undefined ? null : Buffer.from(text));
  try {
    return credentials.createSsl(pem(tls?.ca), pem(tls?.key), pem(tls?.cert));
  } catch {
    throw invalidSetting('tls', 'its files are no PEM certificates and key that belong together', 'models');
  }
}

/** Requests are made for the server's name where the endpoint is one of its addresses. */
export const namedAs = (address: string, { serverName }: Link): ChannelOptions =>
  serverName === undefined
    ? {}
    : {
        'grpc.default_authority': serverName,
        ...(isTls(address) && { 'grpc.ssl_target_name_override': serverName }),
      };

/** A link's headers as metadata: those that end with `-bin` have bytes, in base64. */
export function metadataOf({ headers = {} }: Link): Metadata {
  const metadata = new Metadata();
  setHeaders(metadata, Object.entries(headers));
  return metadata;
}

/** Adds headers to metadata. Throws `INVALID_SETTING` for one that gRPC cannot send. */
export function setHeaders(metadata: Metadata, headers: Iterable<readonly [name: string, value: string]>): void {
  for (const [name, value] of headers) {
    try {
      metadata.set(name, name.toLowerCase().endsWith('-bin') ? Buffer.from(value, 'base64') : value);
    } catch {
      // gRPC's own message quotes the value, which may be a secret.
      throw invalidSetting(`headers.${name}`, 'gRPC cannot send a header of this name with this value', 'models');
    }
  }
}

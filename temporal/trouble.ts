import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import type { TLSConfig } from '@temporalio/client';
import {
  type Client,
  type Failed,
  ofAnswer,
  ofClientCertificate,
  ofHandshake,
  ofNetwork,
  TLS_IS_OFF,
  TLS_IS_ON,
  type Trouble,
} from './causes.js';
import { type Place, placeOf, reachOptions, type TemporalServer } from './options.js';
import { probe, SILENT } from './probe.js';

/**
 * Timeout of one response, in milliseconds: it takes milliseconds, with a TLS handshake across an ocean less than a
 * second.
 */
const PROBE_MS = 3_000;

/**
 * Determines why a Temporal server is unreachable, with connections of its own and within twice three seconds, not
 * counting stalls of this process: the SDK reports a failed TLS handshake only as a timeout. Undefined if the server
 * responds. The result contains no secrets.
 * Throws `INVALID_SETTING` if certificates or keys cannot be read.
 */
export async function troubleOf(server: TemporalServer): Promise<Trouble | undefined> {
  const { apiKey, tls } = reachOptions(server);
  const place = placeOf(server);
  const ended = await probe({ ...place, apiKey, tls: tls ? nodeOptions(tls, place.host) : undefined }, PROBE_MS);
  const client: Client = {
    host: place.host,
    ownAuthority: tls !== false && tls.serverRootCACertificate !== undefined,
    keyed: apiKey !== undefined,
    certificate: tls === false ? undefined : tls.clientCertPair?.crt,
  };
  if (ended.at === 'answer') return ofAnswer(ended, client);
  return ofNetwork(ended, client) ?? (tls ? ofTls(ended, client, place) : ofPlain(ended, place));
}

async function ofTls(failed: Failed, client: Client, place: Place): Promise<Trouble> {
  const { code = '', message } = failed.error;
  const named = ofHandshake(failed, client);
  if (named) return named;
  if (await speaksPlain(place)) return TLS_IS_ON;
  if (code === SILENT) return { cause: 'it accepts connections but does not respond', isSilent: true };
  // Some servers close the connection without an alert if a certificate is missing or rejected.
  if (failed.at === 'session') return ofClientCertificate(client, code);
  return { cause: `the TLS handshake fails: ${message.trim()}` };
}

async function ofPlain({ error }: Failed, place: Place): Promise<Trouble> {
  if (await speaksTls(place)) return TLS_IS_OFF;
  const cause = 'it accepts connections but does not respond like a gRPC server';
  return error.code === SILENT ? { cause, isSilent: true } : { cause };
}

const speaksPlain = async (place: Place): Promise<boolean> => (await probe(place, PROBE_MS)).at === 'answer';

/** Whether a handshake starts; which certificates are used does not matter. */
async function speaksTls(place: Place): Promise<boolean> {
  const ended = await probe({ ...place, tls: { rejectUnauthorized: false } }, PROBE_MS);
  return ended.at === 'answer' || ended.at === 'session' || /ALERT/.test(ended.error.code ?? '');
}

/** The same options for Node’s TLS. A host name is sent as SNI and verified; an address is only verified. */
function nodeOptions({ serverNameOverride, serverRootCACertificate: ca, clientCertPair }: TLSConfig, host: string) {
  const servername = serverNameOverride ?? (isIP(host) === 0 ? host : undefined);
  return {
    rejectUnauthorized: true,
    ...(servername !== undefined && { servername }),
    ...(ca && { ca: Buffer.from(ca) }),
    ...(clientCertPair && { cert: Buffer.from(clientCertPair.crt), key: Buffer.from(clientCertPair.key) }),
  } satisfies ConnectionOptions;
}

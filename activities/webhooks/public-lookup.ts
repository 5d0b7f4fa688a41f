import type { LookupAddress } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import type { LookupFunction } from 'node:net';
import { MillraceError } from '../../pipelines/errors.js';
import { isPublicAddress } from './public-address.js';

/** Timeout of a query in milliseconds, and how often each name server is asked. */
const QUERY = { timeout: 2_000, tries: 2 };

/** The target is one that must not be called. */
export class RefusedTarget extends MillraceError {
  constructor(message: string) {
    super('WEBHOOK_REFUSED', message);
  }
}

/**
 * Looks up names whose addresses are all public, by queries of its own: the system's look-up occupies one of the few threads by which the
 * process reads and writes files, and callers may name hosts whose name servers never answer. A literal address is never looked up: see
 * `targetFault`.
 * @param servers addresses of name servers. Default: the system's
 */
export const publicLookup =
  (servers?: readonly string[]): LookupFunction =>
  (hostname, { all }, callback) => {
    addressesOf(hostname, servers).then(
      (addresses) => {
        const [first] = addresses;
        if (!first || addresses.some(({ address }) => !isPublicAddress(address)))
          return callback(new RefusedTarget(`${hostname} resolves to an address that is not public`), '', 0);
        return all ? callback(null, [...addresses]) : callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, '', 0),
    );
  };

async function addressesOf(hostname: string, servers?: readonly string[]): Promise<readonly LookupAddress[]> {
  // A new one reads the system's configuration, which may have changed.
  const resolver = new Resolver(QUERY);
  if (servers) resolver.setServers(servers);
  const [v4, v6] = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
  if (v4.status === 'rejected' && v6.status === 'rejected') throw v4.reason;
  return [...found(v4, 4), ...found(v6, 6)];
}

const found = (answer: PromiseSettledResult<string[]>, family: 4 | 6): readonly LookupAddress[] =>
  answer.status === 'fulfilled' ? answer.value.map((address) => ({ address, family })) : [];

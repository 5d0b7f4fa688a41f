import { isIP } from 'node:net';
import { isPublicAddress } from './public-address.js';

/** Longest URL of a target: it is stored in the run's memo and in histories. */
const LONGEST_URL = 2_048;

/** Names that resolve to the machine itself or to its own network. */
const LOCAL_NAME = /(^|\.)(localhost|local|internal)\.?$/i;

/**
 * Why a URL cannot be a webhook's target, as far as that is known without DNS; undefined if it can.
 * @param allowPrivate allows plain HTTP and addresses that are not public
 */
export function targetFault(text: string, allowPrivate: boolean): string | undefined {
  if (text.length > LONGEST_URL) return `is longer than ${LONGEST_URL} characters`;
  if (!URL.canParse(text)) return 'is not a URL such as "https://example.com/hooks"';
  const url = new URL(text);
  const protocols = allowPrivate ? ['https:', 'http:'] : ['https:'];
  if (!protocols.includes(url.protocol)) return `must be ${allowPrivate ? 'an http or https' : 'an https'} URL`;
  if (url.username !== '' || url.password !== '') return 'must not hold credentials';
  if (url.hash !== '') return 'must not have a fragment';
  if (!allowPrivate && isPrivateHost(url)) return 'must be a host of the public internet';
  return undefined;
}

function isPrivateHost({ hostname }: URL): boolean {
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  return isIP(host) === 0 ? LOCAL_NAME.test(host) : !isPublicAddress(host);
}
